@RWI-48
Feature: Clients of RustPBX are spoken to as they are used to
  A token with the dialect "rustpbx": flat events, replies with a status, errors as a text; what is done is the same.

  Background:
    Given the PBX lets in the token "the-old-application" as "rustpbx"
    And the second application connects with the token "the-old-application"
    And the second application is connected
    And alice and bob have registered

  @net(lossy)
  Scenario: A call is made, answered and hung up
    When the second application says '{"rwi":"1.0","action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local","caller_id":"2000","timeout_secs":30,"priority_x":1}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"2","action":"ListCalls"}'
    And the second application says '{"action_id":"3","action":"call.hangup","params":{"call_id":"leg_a","reason":"by_system"}}'
    And the second application says '{"action_id":"4","action":"call.hangup","params":{"call_id":"leg_x"}}'
    And the second application says '{"action_id":"5","action":"session.list_calls"}'
    And 1 second passes
    Then the second application has heard:
      | frame                                                                                                                        |
      | {"type":"command_completed","action_id":"1","action":"call.originate","call_id":"leg_a","status":"success","data":{"call_id":"leg_a"}} |
      | {"event_type":"call_created","call_id":"leg_a","context":"default","caller":"sip:2000@pbx.example","callee":"sip:alice@pbx.example","direction":"outbound","trunk":null,"sip_headers":{},"app_id":null} |
      | {"event_type":"call_ringing","call_id":"leg_a"}                                                                               |
      | {"event_type":"call_answered","call_id":"leg_a"}                                                                              |
      | {"type":"command_completed","action_id":"2","action":"session.list_calls","status":"success","data":[{"session_id":"leg_a","caller":"sip:2000@pbx.example","callee":"sip:alice@pbx.example","direction":"outbound","status":"talking"}]} |
      | {"type":"command_completed","action_id":"3","action":"call.hangup","call_id":"leg_a","status":"success"}                      |
      | {"event_type":"call_hangup","call_id":"leg_a","reason":"system","hangup_by":"system","sip_status":200}                        |
      | {"type":"command_failed","action_id":"4","call_id":"leg_x","status":"error","error":"Call not found: leg_x"}                  |
      | {"type":"command_completed","action_id":"5","action":"session.list_calls","status":"success","data":[]}                       |

  @net(lossy)
  Scenario: Each event says to which call it belongs, and with which it began
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local","caller_id":"2000"}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"2","action":"call.transfer","params":{"call_id":"leg_a","target":"sip:bob@local"}}'
    And 1 second passes
    Then the second application has heard:
      | frame                                                                                                                        |
      | {"event_type":"call_answered","call_id":"leg_a","session_id":"leg_a","caller":"sip:2000@pbx.example","caller_name":"2000","callee_name":"alice","root":{"call_id":"leg_a","caller_name":"2000","callee_name":"alice"}} |
      | {"event_type":"call_ringing","session_id":"leg_a","callee_name":"bob","root":{"call_id":"leg_a","callee_name":"alice"}}       |

  @net(lossy)
  Scenario: A caller from inside is offered, answered, and hangs up
    Given calls to "100" are offered to applications of sales
    And the second application says '{"action_id":"1","action":"Subscribe","params":{"contexts":["sales"]}}'
    And alice's telephone says "X-Customer: 4711" in its INVITE
    When alice calls "100"
    And 1 second passes
    Then the second application has heard:
      | frame                                                                                                                        |
      | {"type":"command_completed","action_id":"1","action":"session.subscribe","status":"success"}                                  |
      | {"event_type":"call_created","context":"sales","direction":"internal","caller":"sip:alice@pbx.example","callee":"sip:100@pbx.example","sip_headers":{"X-Customer":"4711"}} |

  @net(lossy)
  Scenario: Who meets a busy telephone is told that, and no end
    Given alice's telephone refuses with busy (486)
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    Then the second application has heard:
      | frame                                                             |
      | {"event_type":"call_busy","call_id":"leg_a"}                      |
    And the second application has not heard '{"event_type":"call_hangup"}'

  @net(lossy)
  Scenario: A command that is repeated is done once
    When the second application says '{"action_id":"same","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"same","action":"call.hangup","params":{"call_id":"leg_a"}}'
    And 1 second passes
    Then alice's call is still up
    When 1 minute passes
    And the second application says '{"action_id":"same","action":"call.hangup","params":{"call_id":"leg_a"}}'
    And 1 second passes
    Then alice's call is over

  @net(lossy)
  Scenario: Who comes back asks for what has been
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    And alice answers
    And the second application disconnects
    And 1 second passes
    And alice hangs up
    And 1 second passes
    And the third application connects with the token "the-old-application"
    And 1 second passes
    And the third application says '{"action_id":"2","action":"session.resume","params":{}}'
    And the third application says '{"action_id":"3","action":"call.resume","params":{"call_id":"leg_x"}}'
    And the third application says '{"action_id":"4","action":"call.resume","params":{"call_id":"leg_a"}}'
    And 1 second passes
    Then the third application has heard:
      | frame                                                                                                                        |
      | {"type":"command_completed","action_id":"2","action":"session.resume","status":"success","data":{"replayed_count":4,"events":[{"call_id":"leg_a","event":{"event_type":"call_created","call_id":"leg_a","payload":{"event_type":"call_created"}}}]}} |
      | {"type":"command_completed","action_id":"3","action":"call.resume","call_id":"leg_x","status":"success","data":{"call_id":"leg_x","replayed_count":0}} |
      | {"type":"command_completed","action_id":"4","action":"call.resume","call_id":"leg_a","status":"success","data":{"call_id":"leg_a","replayed_count":4}} |

  @net(lossy)
  Scenario: The target of an attended transfer rings already when a client calls it
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"2","action":"call.transfer.attended","params":{"call_id":"leg_a","target":"sip:bob@local"}}'
    And 1 second passes
    And the second application says '{"action_id":"3","action":"call.originate","params":{"call_id":"$consultation_call_id","destination":"sip:bob@local"}}'
    And 1 second passes
    Then bob has had 1 call
    When bob answers
    And 1 second passes
    Then bob's call is still up

  @net(lossy)
  Scenario: A talk between two telephones is transferred by a client that has attached to nothing
    Given carol has registered
    And bob's telephone answers at once
    And carol's telephone answers at once
    When alice calls bob
    And 2 seconds pass
    And the second application says '{"action_id":"1","action":"session.subscribe","params":{"contexts":["default"]}}'
    And the second application says '{"action_id":"2","action":"session.list_calls"}'
    And 1 second passes
    And the second application says '{"action_id":"3","action":"call.transfer.attended","params":{"call_id":"$session_id","target":"sip:carol@local"}}'
    And 1 second passes
    And the second application says '{"action_id":"4","action":"call.originate","params":{"call_id":"my-own","destination":"sip:carol@local"}}'
    And 1 second passes
    Then carol has had 1 call
    And bob and carol hear each other
    And the second application has heard:
      | frame                                                                                                      |
      | {"type":"command_completed","action_id":"3","action":"call.transfer.attended","status":"success"}           |
      | {"type":"command_completed","action_id":"4","call_id":"my-own","status":"success","data":{"call_id":"my-own"}} |
      | {"event_type":"call_created","call_id":"my-own"}                                                           |
      | {"event_type":"call_answered","call_id":"my-own"}                                                          |
    When the second application says '{"action_id":"5","action":"call.transfer.complete","params":{"call_id":"$session_id","consultation_call_id":"my-own"}}'
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over
    When the second application says '{"action_id":"6","action":"call.hangup","params":{"call_id":"$session_id"}}'
    And 1 second passes
    Then alice's call is over
    And carol's call is over

  @net(lossy)
  Scenario: Who was put through is hung up with the call it was put through to
    Given bob's telephone answers at once
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"2","action":"call.transfer","params":{"call_id":"leg_a","target":"sip:bob@local"}}'
    And 1 second passes
    Then alice and bob hear each other
    When the second application says '{"action_id":"3","action":"call.hangup","params":{"call_id":"leg_a"}}'
    And 1 second passes
    Then bob's call is over

  Scenario Outline: What clients send is understood: <what>
    Given bob has a mailbox
    And the PBX keeps recordings
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local","caller_id":""}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    And the second application says '{"action_id":"2",<frame>}'
    And 1 second passes
    Then the second application has heard:
      | frame   |
      | <heard> |

    Examples:
      | what           | frame                                                                                                        | heard |
      | no path        | "action":"record.start","params":{"call_id":"leg_a","mode":"mixed","storage":{"backend":"file","path":""}}    | {"event_type":"record_started","call_id":"leg_a"} |
      | more in source | "action":"MediaPlay","params":{"call_id":"leg_a","source":{"type":"silence","uri":"","looped":false},"leg_id":null} | {"event_type":"media_play_started","call_id":"leg_a","leg_id":null} |
      | a mailbox      | "action":"call.transfer","params":{"call_id":"leg_a","target":"voicemail:bob"}                                | {"event_type":"call_transferred","call_id":"leg_a","transfer_target":"voicemail:bob"} |
      | an address     | "action":"call.originate","params":{"call_id":"","destination":"sip:bob@10.0.0.1:5060"}                       | {"event_type":"call_ringing","callee_name":"bob"} |

  @net(lossy)
  Scenario: Over the trunk that is named beside the number
    Given north is a trunk for numbers that begin with 0
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_n","destination":"sip:0123@anywhere","trunk":"north"}}'
    And 2 seconds pass
    Then the trunk north was asked for "0123"
    And the second application has heard:
      | frame                                                                       |
      | {"event_type":"call_created","call_id":"leg_n","trunk":"north"}             |
      | {"event_type":"call_answered","call_id":"leg_n","trunk":"north"}            |

  @RWI-47 @net(lossy)
  Scenario: A webhook of RustPBX is told in its own words
    Given events are posted to the sink as to a webhook of RustPBX
    When the second application says '{"action_id":"1","action":"call.originate","params":{"call_id":"leg_a","destination":"sip:alice@local"}}'
    And 1 second passes
    And alice answers
    And 1 second passes
    Then the sink has been sent '{"rwi":"1.0","sequence":1,"event_type":"call_created","call_id":"leg_a","event":{"event_type":"call_created","direction":"outbound"}}'
    And the sink has been sent '{"rwi":"1.0","event_type":"call_answered","call_id":"leg_a","event":{"event_type":"call_answered","session_id":"leg_a","callee_name":"alice"}}'
