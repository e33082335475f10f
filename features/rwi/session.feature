Feature: Applications come and go, and hold calls

  Background:
    Given an application that controls the PBX
    And calls to "100" are offered to applications of sales
    And calls to "200" are offered to applications of support
    And alice, bob and carol have registered

  @RWI-14 @RWI-21 @RWI-31 @real @net(lossy)
  Scenario: A caller is answered by the application that has subscribed
    Given the second application controls the PBX too
    And the application commands "session.subscribe contexts=sales,support"
    And the second application commands "session.subscribe contexts=support,"
    When alice calls "100"
    Then the application is told "call.incoming $incoming context=sales caller=alice dialled=[100]"
    And the second application has not been told "call.incoming $incoming"
    When the application commands "call.answer call_id=$incoming"
    Then the command has succeeded
    And the application is told "call.answered $incoming"
    When the application calls bob as leg_b, who answers
    And the application commands "call.bridge leg_a=$incoming leg_b=leg_b"
    And 1 second passes
    Then alice and bob hear each other

  @RWI-14 @RWI-21
  Scenario Outline: A caller is refused: <reason>
    Given the application commands "session.subscribe contexts=sales,"
    When alice calls "100"
    And 1 second passes
    And the application commands "call.reject call_id=$incoming reason=<reason>"
    Then the command has succeeded
    And alice is told <status>
    And the application is told "call.hangup $incoming"

    Examples:
      | reason    | status              |
      | busy      | busy here (486)     |
      | forbidden | forbidden (403)     |
      | not_found | not found (404)     |
      | decline   | decline (603)       |

  @RWI-21 @net(lossy)
  Scenario: A caller hears that it rings before it is answered
    Given the application commands "session.subscribe contexts=sales,"
    When alice calls "100"
    And 1 second passes
    And the application commands "call.ring call_id=$incoming"
    And 1 second passes
    Then the application is told "call.ringing $incoming"
    And alice's call is not answered yet
    When the application commands "call.answer call_id=$incoming"
    And 1 second passes
    Then alice's call is still up
    When the application commands "call.answer call_id=$incoming"
    Then the command has failed as invalid_state

  @RWI-46
  Scenario Outline: Nobody answers, and the context says what becomes of it: <action>
    Given the configuration also says
      """
      [[rwi.contexts]]
      name = "sales"
      no_answer_timeout_secs = 5
      no_answer_action = "<action>"
      <more>
      """
    When alice calls "100"
    And 4 seconds pass
    Then alice's call is not answered yet
    When 2 seconds pass
    Then <seen>

    Examples:
      | action    | more                     | seen                                         |
      | hangup    |                          | alice is told temporarily unavailable (480)  |
      | transfer  | no_answer_target = "bob" | bob's telephone rings                        |
      | play_tone |                          | alice hears 425 Hz                           |

  @RWI-40
  Scenario Outline: Who shows no token, or another one, is not let in
    When the second application connects <how>
    Then the second application is refused as 401

    Examples:
      | how                              |
      | without a token                  |
      | with the token "guess-the-token" |

  @RWI-15 @RWI-41
  Scenario Outline: A token does what it is for: <action>
    Given the PBX lets in the token "for-queues-only" for "queue.control"
    And the second application connects with the token "for-queues-only"
    And the second application is connected
    When the second application commands "<action>"
    Then the command has failed as forbidden
    And the refusal says "scope required: <scope>"

    Examples:
      | action                                                        | scope              |
      | call.hangup call_id=leg_a                                     | call.control       |
      | record.start call_id=leg_a                                    | record.control     |
      | supervisor.listen supervisor_call_id=s target_call_id=leg_a   | supervisor.control |
      | sip.options_ping call_id=leg_a                                | sip.message        |
      | conference.create conf_id=friday                              | conference.control |

  @RWI-15
  Scenario Outline: What makes no sense is answered, and the connection stays up: <code>
    When the application commands "<command>"
    Then the command has failed as <code>
    And the application is connected

    Examples:
      | command                                | code            |
      | call.hangup call_id=nonexistent        | call_not_found  |
      | call.juggle call_id=leg_a              | unknown_action  |
      | call.hangup                            | invalid_params  |
      | call.hangup call_id=7                  | invalid_params  |
      | media.play call_id=leg_a               | invalid_params  |

  @RWI-15 @net(lossy)
  Scenario: What is no JSON is answered too
    When the application says "good morning"
    And 1 second passes
    Then the command has failed as invalid_json
    And the application is connected

  @RWI-15 @RWI-42 @net(lossy)
  Scenario: A call that another application holds
    Given the second application controls the PBX too
    And the application calls alice as leg_a, who answers
    When the second application commands "call.hangup call_id=leg_a"
    Then the command has failed as already_owned
    And alice's call is still up
    When the application commands "session.detach_call call_id=leg_a"
    And the second application commands "session.attach_call call_id=leg_a"
    Then the command has succeeded
    When the second application commands "call.hangup call_id=leg_a"
    Then the command has succeeded
    When 2 seconds pass
    Then alice's call is over

  @RWI-42 @net(lossy)
  Scenario: Two applications answer one call, and the first one has it
    Given the second application controls the PBX too
    And the application commands "session.subscribe contexts=sales,"
    And the second application commands "session.subscribe contexts=sales,"
    When alice calls "100"
    And 1 second passes
    And the application commands "call.answer call_id=$incoming"
    Then the command has succeeded
    When the second application commands "call.answer call_id=$incoming"
    Then the command has failed as already_owned

  @RWI-31 @RWI-42 @net(lossy)
  Scenario: Two extensions that talk come into the hands of an application
    Given alice talks to bob
    And the application commands "session.subscribe contexts=default,"
    When the application commands "session.list_calls"
    Then the command has succeeded
    And the answer to the command lists 1 call
    When alice hangs up
    And bob calls carol
    And 2 seconds pass
    And carol answers
    And 2 seconds pass
    And the application commands "session.attach_call call_id=$incoming"
    Then the command has succeeded
    And the application is told "call.bridged $incoming leg_b=$peer_call_id"
    When the application commands "call.hold call_id=$peer_call_id"
    And 2 seconds pass
    Then carol is on hold
    When the application commands "call.unhold call_id=$peer_call_id"
    And 2 seconds pass
    Then bob and carol hear each other
    When the application commands "call.transfer call_id=$incoming target=sip:alice@local"
    And 2 seconds pass
    And alice answers
    And 2 seconds pass
    Then alice and bob hear each other
    And carol's call is over

  @RWI-43 @net(lossy)
  Scenario: A client that has gone comes back for its calls
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application disconnects
    And 10 seconds pass
    Then alice and bob hear each other
    When the second application connects with the token "the-secret-of-the-application"
    And 1 second passes
    And the second application commands "session.attach_call call_id=leg_a"
    Then the command has succeeded

  @RWI-43 @net(lossy)
  Scenario: Calls of a client that does not come back end
    Given the configuration also says
      """
      [rwi]
      orphan_hold_secs = 20
      """
    And the application lets alice as leg_a talk to bob as leg_b
    When the application disconnects
    And 19 seconds pass
    Then alice's call is still up
    When 2 seconds pass
    Then alice's call is over
    And bob's call is over

  @RWI-43 @net(lossy)
  Scenario: A client whose machine loses its power is missed
    Given the application calls alice as leg_a, who answers
    When the application loses its power
    And 100 seconds pass
    Then alice's call is over

  @RWI-44 @net(lossy)
  Scenario: What was missed is told to who resumes
    Given the application commands "session.subscribe contexts=sales,"
    And the application calls alice as leg_a, who answers
    When the application disconnects
    And 1 second passes
    And alice hangs up
    And 2 seconds pass
    And the second application connects with the token "the-secret-of-the-application"
    And 1 second passes
    And the second application resumes the session of the application
    Then the command has succeeded
    And the answer to the command says "complete=true replayed_count=1"
    And the second application is told "call.hangup leg_a"

  @RWI-44 @net(lossy)
  Scenario: A session that is not there cannot be resumed
    When the application commands "session.resume session_id=s_nonexistent"
    Then the command has failed as invalid_params

  @RWI-45 @net(lossy)
  Scenario: An application that originates too much is told so
    Given the configuration also says
      """
      [rwi]
      originate_rate_limit = 2
      max_calls_per_connection = 3
      """
    When the application calls alice as leg_a
    And the application calls bob as leg_b
    And the application commands "call.originate destination=sip:carol@local"
    Then the command has failed as rate_limited
    When 2 seconds pass
    And the application calls carol as leg_c
    And 2 seconds pass
    And the application commands "call.originate destination=sip:carol@local"
    Then the command has failed as rate_limited
    And the refusal says "max_calls_per_connection"

  @RWI-45 @net(lossy)
  Scenario: There are as many clients as there may be
    Given the configuration also says
      """
      [rwi]
      max_connections = 1
      """
    When the second application connects with the token "the-secret-of-the-application"
    Then the second application is refused as 503

  @RWI-45 @net(lossy)
  Scenario: A client that does not read is cut off, and nobody else notices
    Given the second application controls the PBX too
    And the second application commands "session.subscribe contexts=default,"
    And the application lets alice as leg_a talk to bob as leg_b
    When the second application stops reading
    And the application commands "media.play call_id=leg_a source.type=tone source.duration_ms=20" 1000 times
    And 1 second passes
    Then the application is connected
    And alice and bob hear each other
    When the second application reads on
    And 2 seconds pass
    Then the second application has been cut off

  @RWI-42 @net(lossy)
  Scenario: The caller gives up while two applications reach for the call
    Given the second application controls the PBX too
    And the application commands "session.subscribe contexts=sales,"
    And the second application commands "session.subscribe contexts=sales,"
    When alice calls "100"
    And 1 second passes
    And alice gives up
    And the application commands "call.answer call_id=$incoming"
    And the second application commands "call.answer call_id=$incoming"
    And 1 second passes
    Then alice's call is over
    And nothing is left over

  @RWI-43 @net(lossy)
  Scenario: A client goes in the middle of a transfer and comes back to complete it
    Given the application commands "session.subscribe contexts=sales,"
    And the application lets alice as leg_a talk to bob as leg_b
    And the application commands "call.transfer.attended call_id=leg_a target=sip:carol@local"
    And 1 second passes
    When carol answers
    And 1 second passes
    And the application disconnects
    And 5 seconds pass
    Then bob and carol hear each other
    When the second application connects with the token "the-secret-of-the-application"
    And 1 second passes
    And the second application resumes the session of the application
    And the second application completes the transfer of leg_a
    And 1 second passes
    Then the command has succeeded
    And alice and carol hear each other
    And bob's call is over

  @RWI-12 @RWI-30 @real @net(lossy)
  Scenario: Messages on the leg of a call
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "sip.message call_id=leg_a body=ticket-12345"
    Then the command has succeeded
    And alice has read "ticket-12345"
    When the application commands "sip.options_ping call_id=leg_a"
    Then the answer to the command says "status=200"
    When the application commands "sip.notify call_id=leg_a event=check-sync content_type=text/plain body=hello"
    And 1 second passes
    Then NOTIFY was sent 1 time
    And alice and bob hear each other

  @RWI-47 @net(lossy)
  Scenario: Events are posted as well, also to a server that is gone for a while
    Given events are posted to the sink
    When the application calls alice as leg_a, who answers
    And 1 second passes
    Then the sink has been told of "call.answered leg_a"
    When the sink loses its power
    And alice hangs up
    And 2 seconds pass
    And the sink is on again
    And 10 seconds pass
    Then the sink has been told of "call.hangup leg_a"

  @RWI-47 @net(lossy)
  Scenario: Events are posted over TLS, one after the other on one connection
    Given events are posted to the sink over TLS
    When the application calls alice as leg_a, who answers
    And 1 second passes
    And alice hangs up
    And 2 seconds pass
    Then the sink has been told of "call.answered leg_a"
    And the sink has been told of "call.hangup leg_a"
    And the PBX has opened 1 connection to the sink

  @RWI-47 @net(lossy)
  Scenario: A server that takes no events holds nobody up
    Given events are posted to the sink within 500 ms
    And the sink never answers
    When the application lets alice as leg_a talk to bob as leg_b
    And 1 second passes
    Then alice and bob hear each other
