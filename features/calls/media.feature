@CORE-05 @CORE-10
Feature: What is agreed about the sound
  Offer and answer (RFC 3264): hold, codecs, keys.

  Scenario: The other side waits
    Given alice talks to bob
    When alice puts bob on hold
    And 1 second passes
    Then bob is on hold
    And bob's telephone is silent

  Scenario: The other side waits no longer
    Given alice talks to bob
    And alice puts bob on hold for 5 seconds
    When alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Both put each other on hold at once
    Given alice talks to bob
    When alice and bob put each other on hold at once
    And 10 seconds pass
    Then alice's call is still up
    And bob's call is still up

  Scenario Outline: A telephone that knows only <codec>
    Given bob's telephone knows only <codec>
    And alice talks to bob
    Then alice's call is in <codec>
    And alice and bob hear each other

    Examples:
      | codec |
      | PCMU  |
      | PCMA  |

  Scenario: A call without an offer
    Given alice calls without an offer
    And alice talks to bob
    Then alice and bob hear each other

  Scenario: Keys reach the other side
    Given alice talks to bob
    When alice presses "1 2 3 #"
    And 2 seconds pass
    Then bob has heard the keys "123#"

  Scenario: Silence on both sides does not end a call
    Given alice talks to bob
    And alice says nothing
    And bob says nothing
    When 2 minutes pass
    Then alice's call is still up

  @CORE-05 @SIM-15
  Scenario: A change to a codec that the other side does not know
    Given bob's telephone knows only PCMU
    And alice talks to bob
    When alice goes on in G729
    And 1 second passes
    Then alice's change of the call was refused as not acceptable here (488)
    And alice and bob hear each other
