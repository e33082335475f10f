Feature: The PBX as a house
  Limits, shutdown, power cuts.

  @CORE-13
  Scenario: A shutdown ends calls
    Given alice talks to bob
    When the PBX shuts down within 5 seconds
    And 8 seconds pass
    Then alice's call is over
    And bob's call is over
    And the PBX has ended

  @CORE-13
  Scenario: A shutdown waits for calls that end by themselves
    Given alice talks to bob
    When the PBX shuts down within 60 seconds
    And 10 seconds pass
    Then alice and bob hear each other
    When alice hangs up
    And 3 seconds pass
    Then the PBX has ended

  @CORE-13
  Scenario: No new calls during a shutdown
    Given alice talks to bob
    And carol has registered
    When the PBX shuts down within 60 seconds
    And carol calls the tone
    And 1 second passes
    Then carol is told service unavailable (503)
    And alice and bob hear each other

  @CORE-11
  Scenario: A power cut leaves the record of a call
    Given alice talks to bob
    When 10 seconds pass
    And the PBX loses its power
    And the PBX starts again
    Then there is 1 call record
    And the call record says interrupted

  @CORE-06
  Scenario: After a power cut telephones register again
    Given alice has registered
    When the PBX loses its power
    And 10 seconds pass
    And the PBX starts again
    And alice registers
    And 2 seconds pass
    Then alice is registered

  Scenario: A telephone that loses its network in a call
    Given alice talks to bob
    When bob's network is gone
    And 2 minutes pass
    Then alice's call is over
    And nothing is left over
