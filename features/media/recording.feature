@CORE-10
Feature: Recordings
  The PBX writes down what is said, a channel a leg, in files that are whole at every moment.

  @net(jittery) @net(doubling)
  Scenario: A call has a channel for each side
    Given the calls of alice are recorded
    And alice talks to bob
    When 5 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice is heard on channel 1 of the recording and bob on channel 2

  Scenario: What is said is where it was said
    Given the calls of alice are recorded
    And bob's telephone answers at once
    And alice and bob have registered
    And alice says nothing
    And bob says nothing
    When alice calls bob
    And 1 second passes
    And alice says, one after the other
      | for       | tone    |
      | 1 second  | nothing |
      | 2 seconds | 900 Hz  |
      | 1 second  | nothing |
    And 5 seconds pass
    And alice hangs up
    And 1 second passes
    Then the recording is 6 seconds long
    And on channel 1 of the recording is 900 Hz from 2 seconds to 4 seconds, and nothing else

  Scenario: What the network loses or brings late leaves no hole
    Given the calls of alice are recorded
    And alice talks to bob
    When 3 % of what alice sends is lost and the rest takes up to 30 ms longer
    And 10 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice is heard on channel 1 of the recording in one piece

  Scenario: On a network that loses packets each stays on its channel
    Given the calls of alice are recorded
    And a network that loses 5 % of the packets
    And alice talks to bob
    When 10 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice is heard on channel 1 of the recording and bob on channel 2

  @net(lossy) @net(shuffling)
  Scenario: Telephones that speak in a wide band
    Given the PBX turns PCMU, PCMA and G722 into each other
    And the calls of alice are recorded
    And alice's telephone knows only G722
    And bob's telephone knows only PCMU
    And alice talks to bob
    When 5 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice is heard on channel 1 of the recording and bob on channel 2

  @net(lossy)
  Scenario: A pause leaves no gap and no sound
    Given the calls of bob are recorded
    And alice talks to bob
    When 3 seconds pass
    And bob pauses the recording
    And 10 seconds pass
    And bob lets the recording go on
    And 2 seconds pass
    And alice hangs up
    And 1 second passes
    Then alice is heard on channel 1 of the recording and bob on channel 2
    And the recording is at least 5 seconds long

  Scenario: The PBX is killed in the middle of a recording
    Given the calls of alice are recorded
    And alice talks to bob
    When 9 seconds pass
    And the PBX loses its power
    Then the recording is at least 6 seconds long
    And alice is heard on channel 1 of the recording and bob on channel 2

  @net(lossy)
  Scenario: A conference is recorded as one
    Given a recorded conference at "8000"
    And alice and bob have registered
    When alice calls "8000"
    And bob calls "8000"
    And 6 seconds pass
    And alice hangs up
    And bob hangs up
    And 1 second passes
    Then alice is heard in the recording
    And bob is heard in the recording

  @CORE-04
  Scenario: A recording goes on with whoever comes in the place of the one who leaves
    Given the calls of alice are recorded
    And alice talks to bob
    And carol has registered
    When 3 seconds pass
    And bob transfers the call to carol
    And 1 second passes
    And carol answers
    And 4 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then there is 1 recording
    And bob is heard on channel 2 of the recording from 1 second to 3 seconds
    And carol is heard on channel 2 of the recording from 5.5 seconds to 8 seconds
    And alice is heard on channel 1 of the recording from 5.5 seconds to 8 seconds

  @CORE-04
  Scenario: A recording goes on when the one who was recorded sends the other on, and leaves at once
    Given the calls of alice are recorded
    And alice talks to bob
    And carol has registered
    When 3 seconds pass
    And alice transfers the call to carol and hangs up
    And 1 second passes
    And carol answers
    And 4 seconds pass
    And bob hangs up
    And 2 seconds pass
    Then there is 1 recording
    And alice is heard on channel 1 of the recording from 1 second to 3 seconds
    And carol is heard on channel 1 of the recording from 5.5 seconds to 8 seconds
    And bob is heard on channel 2 of the recording from 5.5 seconds to 8 seconds

  @CORE-04
  Scenario: Two talks are connected, and there is one recording of what follows
    Given the calls of bob are recorded
    And alice talks to bob
    And carol has registered
    When bob puts alice on hold
    And 1 second passes
    And bob calls carol
    And 1 second passes
    And carol answers
    And 2 seconds pass
    And bob connects his two calls
    And 6 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then there are 2 recordings
    And the recording is at most 4 seconds long

  @CORE-04
  Scenario: What somebody says to an application is not recorded
    Given the calls of alice are recorded
    And alice talks to bob
    When 3 seconds pass
    And bob transfers the call to "9196"
    And 6 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then there is 1 recording
    And the recording is at most 5 seconds long

  @RWI-23
  Scenario: A recording goes on when an application transfers the call
    Given an application that controls the PBX
    And the application commands "session.subscribe contexts=default,"
    And the calls of alice are recorded
    And alice talks to bob
    And carol has registered
    When 2 seconds pass
    And the application commands "session.attach_call call_id=$incoming"
    And the application commands "call.transfer call_id=$incoming target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 4 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then there is 1 recording
    And carol is heard on channel 2 of the recording from 5 seconds to 7 seconds
    And alice is heard on channel 1 of the recording from 5 seconds to 7 seconds
