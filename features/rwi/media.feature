Feature: An application plays, holds and records

  Background:
    Given an application that controls the PBX
    And a sound "welcome.wav" of 600 Hz for 3 seconds
    And a sound "hold.wav" of 900 Hz for 2 seconds
    And alice, bob and carol have registered

  @RWI-07 @RWI-26 @real @net(lossy)
  Scenario: A customer hears music while two agents are rung, and talks to the first who answers
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=file source.uri=hold.wav loop=true"
    Then the command has succeeded
    And the application is told "media.play.started leg_a"
    When the application calls bob as leg_b
    And the application calls carol as leg_c
    And 3 seconds pass
    Then alice hears 900 Hz
    When carol answers
    Then the application is told "call.answered leg_c"
    When the application commands "call.hangup call_id=leg_b"
    And the application commands "media.stop call_id=leg_a"
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_c"
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring
    And CANCEL was sent 1 time
    And the application has not been told "call.answered leg_b"
    And the application is told "media.play.finished leg_a interrupted=true"

  @RWI-08 @real
  Scenario Outline: A key ends the prompt, and says where the customer goes: <sentence>
    Given alice's telephone <knows>
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=file source.uri=welcome.wav interrupt_on_dtmf=true"
    And 1 second passes
    Then alice hears 600 Hz
    When <sentence>
    And 1 second passes
    Then the application is told "call.dtmf leg_a digit=[1] by=<by>"
    And the application is told "media.play.finished leg_a interrupted=true"
    And alice's telephone is silent
    When the application commands "call.transfer call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 1 second passes
    Then alice and carol hear each other

    Examples:
      | sentence                       | by      | knows            |
      | alice presses "1"              | rfc4733 | knows no UPDATE  |
      | alice presses "1" by INFO      | info    | knows no UPDATE  |
      | alice presses "1" in the audio | inband  | knows only PCMA  |

  @RWI-26 @net(lossy)
  Scenario: A prompt that is heard to its end
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=file source.uri=welcome.wav"
    And 5 seconds pass
    Then the application has been told, in order:
      | event                                       |
      | media.play.started leg_a track_id=t_1       |
      | media.play.finished leg_a track_id=t_1 interrupted=false |
    And alice's telephone is silent

  @RWI-26
  Scenario Outline: Something other than a file
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a <source>"
    And 600 ms pass
    Then alice hears <tone>

    Examples:
      | source                                        | tone    |
      | source.type=tone source.frequency=1200        | 1200 Hz |
      | source.type=ringback                          | 425 Hz  |

  @RWI-26 @net(lossy)
  Scenario: Silence for a second
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=silence source.duration_ms=1000"
    And 500 ms pass
    Then alice's telephone is silent
    When 1 second passes
    Then the application is told "media.play.finished leg_a interrupted=false"

  @RWI-26 @net(lossy)
  Scenario: A prompt lies on top of a talk, which goes on after it
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "media.play call_id=leg_a source.type=file source.uri=welcome.wav"
    And 1 second passes
    Then alice hears 600 Hz
    When 4 seconds pass
    Then alice and bob hear each other

  @RWI-26
  Scenario Outline: Who hears a prompt in a talk is heard all the same, <also>
    Given bob's telephone <knows>
    And the application lets alice as leg_a talk to bob as leg_b
    When the application commands "media.play call_id=leg_a source.type=file source.uri=welcome.wav"
    And 1 second passes
    Then alice hears 600 Hz
    And bob hears alice
    When the application commands "media.stop call_id=leg_a"
    And 1 second passes
    Then alice and bob hear each other

    Examples:
      | also             | knows           |
      | in the same codec | knows no UPDATE |
      | in another codec | knows only PCMA |

  @RWI-26 @net(lossy)
  Scenario: Two who hear a prompt each, one longer than the other
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "media.play call_id=leg_a source.type=file source.uri=welcome.wav"
    And the application commands "media.play call_id=leg_b source.type=tone source.frequency=1200 source.duration_ms=1000"
    And 600 ms pass
    Then alice hears 600 Hz
    And bob hears 1200 Hz
    When 1 second passes
    Then bob hears alice
    When 3 seconds pass
    Then alice and bob hear each other

  @RWI-26 @net(lossy)
  Scenario: A file that is not there
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=file source.uri=missing.wav"
    Then the command has failed as not_playable
    And alice's call is still up

  @RWI-26 @net(lossy)
  Scenario: A file that nobody may name
    When the application calls alice as leg_a, who answers
    And the application commands "media.play call_id=leg_a source.type=file source.uri=../secret.wav"
    Then the command has failed as invalid_params

  @RWI-13 @RWI-25 @real @net(lossy)
  Scenario: A customer is put on hold, hears music of one's choice, and talks again
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "call.hold call_id=leg_a music=hold.wav"
    And 1 second passes
    Then the command has succeeded
    And alice is on hold
    And alice hears 900 Hz
    And bob's telephone is silent
    And the application is told "media.hold.started leg_a"
    When the application commands "call.unhold call_id=leg_a"
    And 1 second passes
    Then the command has succeeded
    And the application is told "media.hold.stopped leg_a"
    And alice is not on hold
    And alice and bob hear each other

  @RWI-13 @net(lossy)
  Scenario: A telephone puts whom it talks to on hold by itself
    Given the music of the PBX is "hold.wav"
    And the application lets alice as leg_a talk to bob as leg_b
    When alice puts the other side on hold
    And 1 second passes
    Then the application is told "media.hold.started leg_a by=telephone"
    And bob hears 900 Hz
    When alice takes the other side off hold
    And 1 second passes
    Then the application is told "media.hold.stopped leg_a by=telephone"
    And alice and bob hear each other

  @RWI-13 @net(lossy)
  Scenario: A telephone holds, and hangs up
    Given the music of the PBX is "hold.wav"
    And the application lets alice as leg_a talk to bob as leg_b
    When alice puts the other side on hold
    And 1 second passes
    And alice hangs up
    And 1 second passes
    Then the application is told "media.hold.stopped leg_a by=telephone"
    And bob's telephone is silent
    And bob's call is still up

  @RWI-13 @RWI-31 @net(lossy)
  Scenario: An application takes a talk in which somebody is on hold
    Given the music of the PBX is "hold.wav"
    And the application commands "session.subscribe contexts=default,"
    And alice talks to bob
    When alice puts the other side on hold
    And 2 seconds pass
    And the application commands "session.attach_call call_id=$incoming"
    And 2 seconds pass
    Then bob hears 900 Hz
    And bob is not on hold
    When alice takes the other side off hold
    And 2 seconds pass
    Then alice and bob hear each other

  @RWI-25 @net(lossy)
  Scenario: A telephone that answers a hold with nonsense is asked again
    Given the application lets alice as leg_a talk to bob as leg_b
    And alice's telephone answers with a codec that nobody offered
    When the application commands "call.hold call_id=leg_a"
    Then the command has failed as rejected
    When the application commands "call.hold call_id=leg_a"
    Then the command has failed as rejected

  @RWI-25 @net(lossy)
  Scenario: What is on hold cannot be put on hold
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "call.hold call_id=leg_a"
    And the application commands "call.hold call_id=leg_a"
    Then the command has failed as invalid_state
    When the application commands "call.unhold call_id=leg_b"
    Then the command has failed as invalid_state

  @RWI-33 @net(lossy)
  Scenario: Keys are pressed by the application
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "call.send_dtmf call_id=leg_b digits=42#"
    And 2 seconds pass
    Then bob has heard the keys "42#"

  @RWI-33
  Scenario Outline: Keys are gathered until <until>
    When the application calls alice as leg_a, who answers
    And the application commands "dtmf.collect call_id=leg_a min_digits=2 max_digits=4 timeout_ms=5000 terminator=#"
    And alice presses "<keys>"
    And 6 seconds pass
    Then the application is told "<event> leg_a digits=[<digits>]"

    Examples:
      | until                | keys | event                   | digits |
      | there are enough     | 1234 | dtmf.collected          | 1234   |
      | the last key         | 123# | dtmf.collected          | 123    |
      | it takes too long    | 12   | dtmf.collected          | 12     |
      | it takes too long, with too few | 1 | dtmf.collection_timeout | 1 |

  @RWI-33 @net(lossy)
  Scenario: A note is kept with a call
    When the application calls alice as leg_a, who answers
    And the application commands "call.set_var call_id=leg_a key=ticket value=A-17"
    And the application commands "call.get_var call_id=leg_a key=ticket"
    Then the answer to the command says "value=A-17"
