Feature: An application records

  Background:
    Given an application that controls the PBX
    And the PBX keeps recordings
    And alice, bob and carol have registered
    And the application lets alice as leg_a talk to bob as leg_b

  @RWI-10 @RWI-27 @real
  Scenario: Recorded, paused, resumed, stopped
    When the application commands "record.start call_id=leg_a mode=mixed"
    Then the command has succeeded
    When 5 seconds pass
    And the application commands "record.pause call_id=leg_a"
    And 3 seconds pass
    And the application commands "record.resume call_id=leg_a"
    And 4 seconds pass
    And the application commands "record.stop call_id=leg_a"
    And 1 second passes
    Then the recording is 9 seconds long
    And alice is heard in the recording
    And bob is heard in the recording
    And the application has been told, in order:
      | event                                       |
      | record.started leg_a recording_id=rec_1     |
      | record.paused leg_a recording_id=rec_1      |
      | record.resumed leg_a recording_id=rec_1     |
      | record.stopped leg_a recording_id=rec_1     |
    And the length that the application was told is that of the recording

  @RWI-27 @net(lossy)
  Scenario: A channel for each
    When the application commands "record.start call_id=leg_a mode=separate_legs"
    And 3 seconds pass
    And the application commands "record.stop call_id=leg_a"
    And 1 second passes
    Then alice is heard on channel 1 of the recording and bob on channel 2

  @RWI-10 @net(lossy)
  Scenario: It ends by itself
    When the application commands "record.start call_id=leg_a max_duration_secs=4"
    And 10 seconds pass
    Then the application is told "record.stopped leg_a"
    And the recording is 4 seconds long
    When the application commands "record.stop call_id=leg_a"
    Then the command has failed as invalid_state

  @RWI-10
  Scenario: A beep says that it is recorded
    When the application commands "record.start call_id=leg_a beep=true"
    And 100 ms pass
    Then alice hears 1400 Hz within 300 ms
    When 1 second passes
    Then alice and bob hear each other

  @RWI-27 @net(lossy)
  Scenario: The end of the call is the end of the recording, and is told after it
    When the application commands "record.start call_id=leg_a"
    And 2 seconds pass
    And alice hangs up
    And 2 seconds pass
    Then the application has been told, in order:
      | event                |
      | record.stopped leg_a |
      | call.hangup leg_a    |

  @RWI-27
  Scenario: Who is talked to next is recorded next
    When the application commands "record.start call_id=leg_a mode=mixed"
    And 2 seconds pass
    And the application commands "call.hangup call_id=leg_b"
    And the application calls carol as leg_c, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_c"
    And 2 seconds pass
    And the application commands "record.stop call_id=leg_a"
    And 1 second passes
    Then bob is heard in the recording
    And carol is heard in the recording

  @RWI-27 @net(lossy)
  Scenario: There is nothing to stop
    When the application commands "record.stop call_id=leg_a"
    Then the command has failed as invalid_state
    When the application commands "record.pause call_id=leg_a"
    Then the command has failed as invalid_state
