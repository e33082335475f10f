@CORE-05 @SIM-15
Feature: A call that changes while people talk

  Background:
    Given alice talks to bob

  Scenario Outline: Hold as it is said with <word>
    Given alice's telephone holds with "<word>"
    When alice puts bob on hold
    And 1 second passes
    Then bob is on hold
    And bob's telephone is silent
    When alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other

    Examples:
      | word     |
      | sendonly |
      | inactive |
      | 0.0.0.0  |

  Scenario: Hold by UPDATE
    Given alice's telephone changes calls by UPDATE
    When alice puts bob on hold
    And 1 second passes
    Then bob is on hold
    When alice takes bob off hold
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Both change the call by UPDATE at once
    Given alice's telephone changes calls by UPDATE
    And bob's telephone changes calls by UPDATE
    When alice and bob put each other on hold at once
    And 10 seconds pass
    Then alice is on hold
    And bob is on hold

  Scenario: Another codec
    When alice goes on in PCMA
    And 1 second passes
    Then alice's call is in PCMA
    And bob's call is in PCMA
    And alice and bob hear each other

  Scenario: A telephone asks what the other one can
    When alice's telephone asks for an offer
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Whoever hangs up does not wait for a change
    When alice puts bob on hold
    And alice hangs up
    And 1 second passes
    Then bob's call is over
    And there is 1 call record

  Scenario: A connection that is cut
    Given carol has a telephone that speaks TCP
    And carol has registered
    When carol calls the tone
    And 3 seconds pass
    And carol's connection is cut
    And 1 second passes
    Then carol hears 440 Hz
    When carol hangs up
    And 1 second passes
    Then carol's call is over
