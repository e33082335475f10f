Feature: An application calls people and lets them talk
  It holds a WebSocket open, says what it wants in JSON, and is told what happens when it happens.

  Background:
    Given an application that controls the PBX
    And alice, bob and carol have registered

  @RWI-01 @RWI-20 @RWI-22 @real @net(lossy)
  Scenario: A customer and an agent are called and talk
    When the application calls alice as leg_a, who answers
    And the application calls bob as leg_b, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_b"
    And 1 second passes
    Then the command has succeeded
    And alice and bob hear each other
    And the application has been told, in order:
      | event                                       |
      | call.created leg_a dialled=alice            |
      | call.ringing leg_a                          |
      | call.answered leg_a by=alice                |
      | call.created leg_b dialled=bob              |
      | call.answered leg_b by=bob                  |
      | call.bridged leg_a leg_a=leg_a leg_b=leg_b  |

  @RWI-01
  Scenario Outline: They talk over a network that <fault>
    Given a network that <fault>
    When the application lets alice as leg_a talk to bob as leg_b
    And 1 second passes
    Then alice and bob hear each other
    When alice hangs up
    Then the application is told "call.hangup leg_a by=callee"
    And the application is told "call.unbridged leg_b leg_b=leg_a"

    Examples:
      | fault                             |
      | loses 5 % of the packets          |
      | delivers 10 % of the packets twice |

  @RWI-04 @real @net(lossy)
  Scenario: An agent goes and another one comes, and the customer stays
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "call.hangup call_id=leg_b"
    Then bob's call is over
    And alice's call is still up
    When the application calls carol as leg_c, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_c"
    And 1 second passes
    Then alice and carol hear each other
    And the application has been told, in order:
      | event                           |
      | call.bridged leg_a leg_b=leg_b  |
      | call.hangup leg_b               |
      | call.bridged leg_a leg_b=leg_c  |

  @RWI-22 @net(lossy)
  Scenario: Two who no longer hear each other stay up
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application commands "call.unbridge call_id=leg_a"
    And 1 second passes
    Then the command has succeeded
    And alice's telephone is silent
    And bob's telephone is silent
    And alice's call is still up
    And bob's call is still up
    When the application commands "call.bridge leg_a=leg_b leg_b=leg_a"
    And 1 second passes
    Then alice and bob hear each other

  @RWI-22 @net(lossy)
  Scenario: Who is bridged with somebody else leaves the first one parked
    Given the application lets alice as leg_a talk to bob as leg_b
    When the application calls carol as leg_c, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_c"
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone is silent
    And the application is told "call.unbridged leg_a leg_a=leg_a leg_b=leg_b"

  @RWI-20
  Scenario Outline: Somebody who is called <does>
    Given bob's telephone <does>
    When the application commands "call.originate call_id=leg_b destination=sip:bob@local timeout_secs=20"
    Then the command has succeeded
    And the application is told "<event> leg_b sip_status=<status>"
    And the application is told "call.hangup leg_b sip_status=<status>"

    Examples:
      | does                          | event          | status |
      | refuses with busy (486)       | call.busy      | 486    |
      | is never answered             | call.no_answer | 408    |
      | refuses with forbidden (403)  | call.failed    | 403    |

  @RWI-20 @net(lossy)
  Scenario: A telephone that can be heard before it answers
    Given bob's telephone plays 700 Hz until it is answered
    When the application calls bob as leg_b
    Then the application is told "call.early_media leg_b"
    When bob answers
    Then the application is told "call.answered leg_b"

  @RWI-20 @net(lossy)
  Scenario: Nobody has that number
    When the application commands "call.originate call_id=leg_x destination=sip:nobody@local"
    Then the application is told "call.hangup leg_x sip_status=404"

  @RWI-20 @net(lossy)
  Scenario: Header lines and a number of one's own
    When the application commands "call.originate call_id=leg_b destination=sip:bob@local caller_id=[2000] extra_headers.X-Ticket=[4711]"
    And 1 second passes
    Then INVITE to bob says "X-Ticket: 4711"
    And INVITE to bob says "From: <sip:2000@pbx.example>"

  @RWI-20
  Scenario Outline: A call that makes no sense is not made
    When the application commands "call.originate <params>"
    Then the command has failed as invalid_params
    And the refusal says "<why>"

    Examples:
      | params                                   | why                     |
      | call_id=leg_a                            | destination: it is missing |
      | destination=sip:bob@elsewhere.example    | is neither              |
      | destination=sip:9197@local               | is an application       |
      | destination=sip:bob@local timeout_secs=0 | timeout_secs: expected  |
      | destination=sip:bob@local colour=red     | colour: there is no such parameter |
      | destination=sip:bob@local extra_headers.Via=me | no header that can be set |

  @RWI-21 @net(lossy)
  Scenario: A call that rings is taken back
    When the application calls bob as leg_b
    And 1 second passes
    Then bob's telephone rings
    When the application commands "call.hangup call_id=leg_b reason=mistake"
    Then the command has succeeded
    And bob's telephone does not ring
    And the application is told "call.hangup leg_b reason=mistake"
    And the application has not been told "call.answered leg_b"
