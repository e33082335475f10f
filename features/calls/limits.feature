@CORE-09
Feature: Limits
  What is over a limit is refused; what is within it goes on.

  Scenario: An extension has one call at a time
    Given alice, bob and carol have registered
    And bob takes 1 call at a time
    And alice talks to bob
    When carol calls bob
    And 1 second passes
    Then carol is told busy (486)
    And alice and bob hear each other

  Scenario: A call has lasted long enough
    Given the configuration also says
      """
      [limits]
      call_duration_seconds = 20
      """
    And alice talks to bob
    When 25 seconds pass
    Then alice's call is over
    And bob's call is over
    And the call record says 20 seconds

  @CORE-06
  Scenario: A third telephone where two are allowed
    Given the configuration also says
      """
      [limits]
      contacts_per_aor = 2
      """
    And bob has registered
    And mobile is another telephone of bob
    And mobile has registered
    And tablet is another telephone of bob
    When tablet registers
    And 1 second passes
    Then the registration of tablet was refused as forbidden (403)

  @CORE-06
  Scenario: A registration that is too short is made longer
    Given bob has a telephone that registers for 10 seconds
    When bob registers
    And 2 seconds pass
    Then the answer was interval too brief (423)
    And bob is registered

  @CORE-06
  Scenario: Who does not renew is forgotten
    Given alice has registered
    And bob has a telephone that registers for 90 seconds
    And bob has registered
    When bob's network is gone
    And 2 minutes pass
    And alice calls bob
    And 1 second passes
    Then alice is told temporarily unavailable (480)
