@CORE-04
Feature: A telephone watches the calls of another one
  The dialog package (RFC 4235): what rings and who talks, as a document that is complete at first and then says what has changed.

  Background:
    Given alice, bob and carol have registered

  Scenario: It rings, is answered, and is over
    Given carol watches bob
    Then carol sees no call
    When alice calls bob
    And 1 second passes
    Then carol sees a call with alice that is early
    When bob answers
    And 1 second passes
    Then carol sees a call with alice that is confirmed
    When alice hangs up
    And 1 second passes
    Then carol sees no call

  Scenario: Whom somebody calls is seen as well
    Given carol watches alice
    When alice calls bob
    And 1 second passes
    Then carol sees a call with bob that is early

  Scenario: What rings at a colleague is picked up
    Given carol watches bob
    When alice calls bob
    And 1 second passes
    And carol picks up what rings at whom she watches
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring
    And carol sees no call

  Scenario: Who is transferred away is seen no longer
    Given carol watches bob
    And dave has registered
    And alice talks to bob
    When bob transfers the call to dave
    And 1 second passes
    And dave answers
    And 4 seconds pass
    Then carol sees no call

  Scenario: Somebody only wants to know how it is now
    Given alice talks to bob
    When carol looks what bob does
    And 1 second passes
    Then carol sees a call with alice that is confirmed
    And carol was told so for the last time: "terminated;reason=timeout"
    And carol was told 1 time

  Scenario: Somebody does not want to be told any longer
    Given carol watches bob
    When carol's telephone does not want to be told any longer
    And 1 second passes
    Then carol was told so for the last time: "terminated;reason=timeout"
    When alice calls bob
    And 1 second passes
    Then carol was told 2 times

  Scenario: A subscription is refreshed in time
    Given carol watches bob
    When 3 hours pass
    And alice calls bob
    And 1 second passes
    Then carol sees a call with alice that is early

  Scenario: A telephone that has forgotten is told no more
    Given carol watches bob
    When carol's telephone forgets what it wanted to know
    And alice calls bob
    And 1 second passes
    Then NOTIFY was sent 2 times
    When alice hangs up
    And 1 second passes
    Then NOTIFY was sent 2 times

  Scenario: A telephone that is gone is told no more
    Given carol watches bob
    When carol's network is gone
    And alice calls bob
    And 40 seconds pass
    And alice hangs up
    And carol's network is back
    And 1 second passes
    Then carol was told 1 time

  Scenario: Presence is not to be had
    When carol wants to know of the presence of bob
    And 1 second passes
    Then carol is told of the subscription: bad event (489)
    And SIP/2.0 to carol says "Allow-Events: message-summary, dialog"

  Scenario: Too short is refused
    Given bob has a mailbox
    When bob's telephone wants to know of messages for 10 seconds
    And 1 second passes
    Then bob is told of the subscription: interval too brief (423)
    And SIP/2.0 to bob says "Min-Expires: 60"

  Scenario: So many subscriptions and no more
    Given the configuration also says
      """
      [limits]
      subscriptions = 1
      """
    And carol watches bob
    When alice looks what bob does
    And 1 second passes
    Then alice is told of the subscription: service unavailable (503)

  Scenario: Nobody is there to be watched
    When carol looks what nobody does
    And 1 second passes
    Then carol is told of the subscription: not found (404)

  Scenario: A stranger sees nothing
    Given mallory has a telephone
    When mallory registers with a wrong password
    And mallory looks what bob does
    And 5 seconds pass
    Then mallory is told of the subscription: unauthorized (401)

  Scenario Outline: In a network that loses <loss> % of the packets
    Given carol watches bob
    And a network that loses <loss> % of the packets
    When alice calls bob
    And 20 seconds pass
    And bob answers
    And 20 seconds pass
    Then carol sees a call with alice that is confirmed
    When alice hangs up
    And 40 seconds pass
    Then carol sees no call

    Examples:
      | loss |
      | 10   |
      | 20   |
