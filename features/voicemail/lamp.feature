@CORE-04 @CORE-08
Feature: A telephone shows that messages wait
  message-summary (RFC 3842): a telephone subscribes, and is told at once and whenever something changes.

  Background:
    Given alice and bob have registered
    And bob has a mailbox

  Scenario: The lamp lights and goes out again
    Given bob's telephone wants to know of messages
    When 1 second passes
    Then bob's telephone shows 0 new messages and 0 old
    When alice leaves a message of 5 seconds for bob
    Then bob's telephone shows 1 new message and 0 old
    When bob calls "voicemail"
    And 2 seconds pass
    Then bob's telephone shows 0 new messages and 1 old
    When bob presses "3"
    And 1 second passes
    Then bob's telephone shows 0 new messages and 0 old

  Scenario: A telephone that has not asked
    Given of mailboxes the configuration says "unsolicited_notify = true"
    When alice leaves a message of 5 seconds for bob
    Then bob's telephone shows 1 new message and 0 old

  Scenario: Nobody is told who has not asked
    When alice leaves a message of 5 seconds for bob
    Then bob's telephone shows nothing of messages

  Scenario: The messages of others are nobody's business
    When alice's telephone wants to know of messages of bob
    And 1 second passes
    Then alice is told of the subscription: forbidden (403)

  Scenario: Who has no mailbox is told so
    When alice's telephone wants to know of messages
    And 1 second passes
    Then alice is told of the subscription: not found (404)

  Scenario: After a power cut the lamp lights again
    When alice leaves a message of 5 seconds for bob
    And the PBX loses its power
    And the PBX starts again
    And bob's telephone wants to know of messages
    And 1 second passes
    Then bob's telephone shows 1 new message and 0 old

  Scenario Outline: In a network that loses <loss> % of the packets
    Given bob's telephone wants to know of messages
    And a network that loses <loss> % of the packets
    When alice calls "*bob"
    And 30 seconds pass
    And alice hangs up
    And 40 seconds pass
    Then bob's telephone shows 1 new message and 0 old

    Examples:
      | loss |
      | 10   |
      | 20   |
