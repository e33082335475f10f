@CORE-08
Feature: The owner listens to messages
  The number of the mailboxes leads the owner to his own; keys play, skip and delete.

  Background:
    Given alice, bob and carol have registered
    And bob has a mailbox with the PIN "4711"

  Scenario: A message is heard
    When alice leaves a message of 5 seconds for bob
    And bob calls "voicemail"
    And 2 seconds pass
    Then bob hears alice

  Scenario: There is none
    When bob calls "voicemail"
    And 500 ms pass
    Then bob hears 300 Hz
    When 2 seconds pass
    Then bob's call is over

  Scenario: The next one, and the same again
    When alice leaves a message of 5 seconds for bob
    And carol leaves a message of 5 seconds for bob
    And bob calls "voicemail"
    And 2 seconds pass
    And bob presses "2"
    And 1 second passes
    Then bob hears carol
    When 6 seconds pass
    And bob presses "1"
    And 1 second passes
    Then bob hears carol

  Scenario: A message is deleted
    When alice leaves a message of 5 seconds for bob
    And carol leaves a message of 5 seconds for bob
    And bob calls "voicemail"
    And 2 seconds pass
    And bob presses "3"
    And 1 second passes
    Then bob hears carol
    And there is 1 message for bob

  Scenario: From another telephone with the PIN
    When carol leaves a message of 5 seconds for bob
    And alice calls "*bob"
    And 500 ms pass
    And alice presses "*"
    And 1 second passes
    And alice presses "4711#"
    And 2 seconds pass
    Then alice hears carol

  Scenario: A wrong PIN three times
    When carol leaves a message of 5 seconds for bob
    And alice calls "*bob"
    And 500 ms pass
    And alice presses "*"
    And 1 second passes
    And alice presses "1111#"
    And 2 seconds pass
    And alice presses "2222#"
    And 2 seconds pass
    And alice presses "3333#"
    And 5 seconds pass
    Then alice's call is over

  Scenario: What was left before a power cut is there after it
    When alice leaves a message of 5 seconds for bob
    And the PBX loses its power
    And the PBX starts again
    And bob calls "voicemail"
    And 2 seconds pass
    Then bob hears alice
