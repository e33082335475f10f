@CORE-08
Feature: A caller leaves a message
  After a greeting and a beep everything that is said is recorded, as a WAV file with a JSON file beside it.

  Background:
    Given alice and bob have registered
    And bob has a mailbox

  Scenario: Nobody answers, and the caller leaves a message
    Given calls to bob that are not answered, and those that come while it is busy, go to the mailbox
    And bob's telephone is never answered
    When alice calls bob
    And 5.5 seconds pass
    Then alice hears 520 Hz
    And bob's telephone does not ring
    When 700 ms pass
    Then alice hears 1000 Hz
    When 5 seconds pass
    And alice hangs up
    And 1 second passes
    Then there is 1 message for bob
    And alice is heard in the recording

  Scenario: The telephone is busy
    Given calls to bob that are not answered, and those that come while it is busy, go to the mailbox
    And bob's telephone refuses with busy (486)
    When alice calls bob
    And 6 seconds pass
    And alice hangs up
    And 1 second passes
    Then there is 1 message for bob

  Scenario: The telephone is not registered
    Given calls to carol that are not answered, and those that come while it is busy, go to the mailbox
    And carol has a mailbox
    When alice calls carol
    And 6 seconds pass
    And alice hangs up
    And 1 second passes
    Then there is 1 message for carol

  Scenario: Who and how long
    When alice leaves a message of 5 seconds for bob
    Then the last message for bob is from alice and 5 seconds long

  Scenario: A key ends the message
    When alice calls "*bob"
    And 6 seconds pass
    And alice presses "#"
    And 1 second passes
    Then alice's call is over
    And there is 1 message for bob

  Scenario: Silence ends the message
    Given of mailboxes the configuration says "silence_seconds = 3"
    When alice calls "*bob"
    And 5 seconds pass
    And alice says nothing
    And 5 seconds pass
    Then alice's call is over
    And there is 1 message for bob

  Scenario: The message is as long as one may be
    Given of mailboxes the configuration says "max_message_seconds = 4"
    When alice calls "*bob"
    And 8 seconds pass
    Then alice's call is over
    And the last message for bob is from alice and 4 seconds long

  Scenario: What is too short is thrown away
    When alice leaves a message of 1 second for bob
    Then there are 0 messages for bob

  Scenario: Who hangs up during the greeting leaves nothing
    When alice calls "*bob"
    And 500 ms pass
    And alice hangs up
    And 1 second passes
    Then there are 0 messages for bob

  Scenario: A greeting of one's own
    Given a sound "hello.wav" of 700 Hz for 3 seconds
    And carol has a mailbox with the greeting "hello.wav"
    When alice calls "*carol"
    And 1 second passes
    Then alice hears 700 Hz
    When alice presses "#"
    And 500 ms pass
    Then alice hears 1000 Hz

  Scenario: A greeting that is not there
    Given carol has a mailbox with the greeting "nowhere.wav"
    When alice calls "*carol"
    And 500 ms pass
    Then alice hears 520 Hz

  Scenario: A mailbox is full
    Given of mailboxes the configuration says "max_messages = 1"
    When alice leaves a message of 3 seconds for bob
    And alice calls "*bob"
    And 800 ms pass
    Then alice hears 425 Hz
    When 3 seconds pass
    Then alice's call is over
    And there is 1 message for bob

  Scenario: The PBX loses its power in the middle of a message
    When alice calls "*bob"
    And 9 seconds pass
    And the PBX loses its power
    Then the recording is whole
    When the PBX starts again
    And 1 minute passes
    Then there is 1 message for bob

  @CORE-04
  Scenario: Somebody is transferred to the mailbox of who transfers
    Given alice talks to bob
    When bob transfers the call to "voicemail"
    And 8 seconds pass
    And alice hangs up
    And 1 second passes
    Then bob's call is over
    And there is 1 message for bob

  Scenario: A transfer to somebody whose calls go to the mailbox
    Given carol has registered
    And carol has a mailbox
    And calls to carol that are not answered, and those that come while it is busy, go to the mailbox
    And carol's telephone refuses with busy (486)
    And alice talks to bob
    When bob transfers the call to carol
    And 8 seconds pass
    And alice hangs up
    And 1 second passes
    Then there is 1 message for carol

  Scenario Outline: In a network that loses <loss> % of the packets
    Given a network that loses <loss> % of the packets
    When alice calls "*bob"
    And 30 seconds pass
    And alice hangs up
    And 40 seconds pass
    Then there is 1 message for bob
    And alice is heard in the recording

    Examples:
      | loss |
      | 5    |
      | 20   |
