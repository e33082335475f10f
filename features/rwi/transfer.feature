Feature: An application transfers calls

  Background:
    Given an application that controls the PBX
    And alice, bob and carol have registered
    And the application lets alice as leg_a talk to bob as leg_b

  @RWI-02 @RWI-05 @RWI-24 @real @net(lossy)
  Scenario: A customer goes to another agent after the two agents have talked
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    Then the command has succeeded
    And the answer to the command says "original_call_id=leg_a"
    When 1 second passes
    Then alice is on hold
    And carol's telephone rings
    When carol answers
    Then the application is told "call.answered $consultation_call_id by=carol"
    When 1 second passes
    Then bob and carol hear each other
    When the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then the command has succeeded
    And alice and carol hear each other
    And alice is not on hold
    And bob's call is over
    And the application is told "call.transferred leg_a target=sip:carol@local"
    And the application is told "call.hangup leg_b"

  @RWI-02 @net(lossy)
  Scenario: The customer hears music meanwhile
    Given a sound "hold.wav" of 900 Hz for 2 seconds
    And the configuration also says
      """
      [rwi]
      hold_music = "hold.wav"
      """
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 2 seconds pass
    Then alice hears 900 Hz

  @RWI-03 @RWI-24 @real @net(lossy)
  Scenario: The transfer is taken back
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 1 second passes
    And the application commands "call.transfer.cancel consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then the command has succeeded
    And carol's call is over
    And alice is not on hold
    And alice and bob hear each other
    And the application is told "call.transfer.failed leg_a reason=cancelled"

  @RWI-03 @net(lossy)
  Scenario: The transfer is taken back while the other agent is rung
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And the application commands "call.transfer.cancel consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then carol's telephone does not ring
    And alice and bob hear each other

  @RWI-24
  Scenario Outline: The other agent <does>, and the customer talks to the first one again
    Given carol's telephone <does>
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local timeout_secs=10"
    Then the command has succeeded
    When 15 seconds pass
    Then the application is told "call.transfer.failed leg_a sip_status=<status>"
    And alice is not on hold
    And alice and bob hear each other

    Examples:
      | does                         | status |
      | refuses with busy (486)      | 486    |
      | refuses with decline (603)   | 603    |
      | is never answered            | 408    |

  @RWI-24 @net(lossy)
  Scenario: The transfer is completed before the other agent has answered
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    Then the command has failed as invalid_state
    And the refusal says "has not answered yet"

  @RWI-24 @net(lossy)
  Scenario: The customer hangs up while the agents talk
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 1 second passes
    And alice hangs up
    And 1 second passes
    Then bob and carol hear each other
    When the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    Then the command has failed as call_not_found

  @RWI-24 @net(lossy)
  Scenario: The first agent hangs up while the agents talk
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 1 second passes
    And bob hangs up
    And 1 second passes
    And the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then alice and carol hear each other

  @RWI-24 @net(lossy)
  Scenario: Everybody hangs up at once
    When the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    And carol answers
    And 1 second passes
    And alice and bob hang up at once
    And carol hangs up
    And 5 seconds pass
    Then nothing is left over

  @RWI-06 @real @net(lossy)
  Scenario: Transferred again: from one agent to the next
    When the application commands "call.transfer call_id=leg_a target=sip:carol@local"
    Then the application is told "call.transfer.accepted leg_a target=sip:carol@local"
    When 1 second passes
    And carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over
    And the application is told "call.transferred leg_a"

  @RWI-06
  Scenario Outline: Transferred to <what>
    Given an announcement of 1500 Hz for 5 seconds at "8100"
    And a conference at "8200"
    When the application commands "call.transfer.attended call_id=leg_a target=sip:<number>@local"
    Then the command has succeeded
    And the application is told "call.answered $consultation_call_id"
    When the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then alice hears <tone>
    And bob's call is over

    Examples:
      | what            | number | tone    |
      | an announcement | 8100   | 1500 Hz |
      | the tone        | 9197   | 440 Hz  |

  @RWI-06 @net(lossy)
  Scenario: Transferred to an IVR: a menu that another application plays
    Given calls to "ivr_main" are offered to applications of ivr
    And a sound "menu.wav" of 1200 Hz for 5 seconds
    And the second application controls the PBX too
    And the second application commands "session.subscribe contexts=ivr,"
    When the application commands "call.transfer call_id=leg_a target=sip:ivr_main@local"
    And 2 seconds pass
    Then bob's call is over
    And the second application is told "call.incoming leg_a"
    When the second application commands "call.answer call_id=leg_a"
    And the second application commands "dtmf.collect call_id=leg_a min_digits=1 max_digits=1"
    And the second application commands "media.play call_id=leg_a source.type=file source.uri=menu.wav"
    And 2 seconds pass
    Then alice hears 1200 Hz
    When alice presses "2"
    And 2 seconds pass
    Then the second application is told "dtmf.collected leg_a digits=[2]"
    When the second application commands "call.transfer call_id=leg_a target=sip:carol@local"
    And 2 seconds pass
    And carol answers
    And 2 seconds pass
    Then alice and carol hear each other

  @RWI-06
  Scenario: Transferred to an IVR that is not there
    Given calls to "ivr_main" are offered to applications of ivr
    When the application commands "call.transfer call_id=leg_a target=sip:ivr_main@local"
    Then the application is told "call.transferred leg_a target=sip:ivr_main@local"
    When 59 seconds pass
    Then alice's call is still up
    When 2 seconds pass
    Then alice's call is over

  @RWI-06 @CORE-08
  Scenario Outline: Transferred to the mailbox of the agent, <how>
    Given bob has a mailbox
    When the application commands "<command> call_id=leg_a target=sip:voicemail@local"
    Then the command has succeeded
    When the application commands "<then>"
    And 8 seconds pass
    Then bob's call is over
    And the application is told "call.transferred leg_a target=sip:voicemail@local"
    When alice hangs up
    And 1 second passes
    Then there is 1 message for bob
    And alice is heard in the recording

    Examples:
      | how         | command                | then                                                                                 |
      | at once     | call.transfer          | session.list_calls                                                                   |
      | in two steps | call.transfer.attended | call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id |

  @RWI-23
  Scenario Outline: Somebody who <does> does not get the customer, who talks on
    Given carol's telephone <does>
    When the application commands "call.transfer call_id=leg_a target=sip:carol@local timeout_secs=5"
    And 10 seconds pass
    Then the application is told "call.transfer.failed leg_a sip_status=<status>"
    And alice and bob hear each other

    Examples:
      | does                    | status |
      | refuses with busy (486) | 486    |
      | is never answered       | 408    |

  @RWI-23 @net(lossy)
  Scenario: A target that is nowhere
    When the application commands "call.transfer call_id=leg_a target=sip:nobody@local"
    And 1 second passes
    Then the command has failed as invalid_params
    And alice and bob hear each other

  @RWI-23 @net(lossy)
  Scenario: A telephone goes to the target itself
    When the application commands "call.transfer call_id=leg_a target=sip:carol@local method=refer"
    And 1 second passes
    Then the command has succeeded
    And the application is told "call.transfer.accepted leg_a"
    When carol answers
    And 2 seconds pass
    Then the application is told "call.transferred leg_a"
    And alice and carol hear each other
    And the application is told "call.hangup leg_a"
