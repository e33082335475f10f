@CORE-08
Feature: A web service says where calls go
  It is told the facts of a call as JSON, and answers with what is to become of it.

  Background:
    Given alice, bob and carol have registered

  Scenario: It is told who calls whom
    Given calls to "55" go where the dispatcher says
    When alice calls "55"
    And 1 second passes
    Then the dispatcher was told
      """
      {
        "from": "alice", "to": "55", "caller": { "extension": "alice" }, "direction": "internal", "route": "asked",
        "method": "INVITE", "uri": "sip:55@pbx.example", "transport": "udp"
      }
      """
    And alice is told service unavailable (503)

  Scenario: It names somebody
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      {
        "action": "route", "targets": ["bob"], "headers": { "X-Customer": "4711" },
        "caller_id": "+4930123", "caller_name": "Ada", "note": "what is not known is not looked at"
      }
      """
    And bob's telephone answers at once
    When alice calls "55"
    And 1 second passes
    Then alice and bob hear each other
    And INVITE to bob says "X-Customer: 4711"
    And INVITE to bob says "Ada"
    And INVITE to bob says "<sip:+4930123@pbx.example>"

  Scenario: An application calls a number for which it is asked
    Given an application that controls the PBX
    And calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob"] }
      """
    And bob's telephone answers at once
    When the application commands "call.originate call_id=leg_a destination=sip:55@local"
    Then the command has succeeded
    And the application is told "call.answered leg_a"

  Scenario: It names two who ring at once
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "forward", "targets": ["bob", "sip:carol@pbx.example"], "strategy": "parallel", "timeout": 20 }
      """
    When alice calls "55"
    And 1 second passes
    Then bob's telephone rings
    And carol's telephone rings
    When carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over

  Scenario: It names two who ring one after the other
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob", "carol"], "strategy": "in_turn", "timeout": 10 }
      """
    When alice calls "55"
    And 9 seconds pass
    Then bob's telephone rings
    When 3 seconds pass
    Then bob's call is over
    And carol's telephone rings
    When carol answers
    And 1 second passes
    Then alice and carol hear each other

  Scenario: Nobody of those whom it names answers
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob", "carol"], "strategy": "in_turn", "timeout": 5 }
      """
    When alice calls "55"
    And 12 seconds pass
    Then alice is told temporarily unavailable (480)

  Scenario: It refuses a call
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "reject", "status": 486, "reason": "Come back tomorrow" }
      """
    When alice calls "55"
    And 1 second passes
    Then alice is told come back tomorrow (486)

  Scenario: It leaves the call to us
    Given calls to "55" go where the dispatcher says, or to "carol"
    When alice calls "55"
    And 1 second passes
    Then carol's telephone rings

  Scenario Outline: Somebody else rings when the dispatcher <fails>
    Given calls to "55" go where the dispatcher says, or to "carol"
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob"] }
      """
    And the dispatcher <fails>
    When alice calls "55"
    And <time> pass
    Then carol's telephone rings
    And the dispatcher was asked <times> times
    And the log says "<why>"

    Examples:
      | fails          | time      | times | why                          |
      | never answers  | 6 seconds | 2     | there is no answer in time   |
      | hangs up       | 2 seconds | 2     | broke off                    |
      | breaks off     | 2 seconds | 1     | broke off                    |
      | is slow        | 6 seconds | 2     | there is no answer in time   |
      | answers 503    | 2 seconds | 2     | 503 Service Unavailable      |
      | answers 404    | 2 seconds | 1     | 404 Not Found                |
      | speaks no JSON | 2 seconds | 1     | the answer cannot be read    |
      | says 3 MB      | 2 seconds | 1     | the answer is too long       |

  Scenario Outline: Somebody else rings when it says <what>
    Given calls to "55" go where the dispatcher says, or to "carol"
    And the dispatcher says
      """
      <says>
      """
    When alice calls "55"
    And 1 second passes
    Then carol's telephone rings
    And the log says "<why>"

    Examples:
      | what                  | says                                                                              | why                        |
      | nothing to be done    | {}                                                                                | missing field              |
      | something unknown     | {"action":"sing"}                                                                 | the action `sing`          |
      | somebody unknown      | {"action":"route","targets":["nobody"]}                                           | there is no number         |
      | nobody                | {"action":"route","targets":[]}                                                   | names nobody               |
      | itself                | {"action":"route","targets":["55"]}                                               | there is no number         |
      | another Call-ID       | {"action":"route","targets":["bob"],"headers":{"Call-ID":"x"}}                    | not for others to say      |
      | a status of success   | {"action":"reject","status":200}                                                  | a status is from 400       |
      | a queue we do not have | {"action":"queue","queue":"sales"}                                               | there is no such queue     |

  Scenario: An answer that comes at the second attempt will do
    Given calls to "55" go where the dispatcher says, or to "carol"
    And the dispatcher says
      """
      { "action": "route", "targets": ["bob"] }
      """
    And the dispatcher answers 503 once
    When alice calls "55"
    And 1 second passes
    Then bob's telephone rings

  Scenario: Nobody else waits for it
    Given calls to "55" go where the dispatcher says, or to "carol"
    And the dispatcher never answers
    And dave has registered
    When alice calls "55"
    And dave calls bob
    And 500 ms pass
    Then bob's telephone rings

  Scenario: The caller gives up before it has answered
    Given calls to "55" go where the dispatcher says, or to "carol"
    And the dispatcher answers after 1.5 seconds
    When alice calls "55"
    And 1 second passes
    And alice hangs up
    And 2 seconds pass
    Then alice's call is over
    And there is 1 call record

  Scenario: It is asked over one connection, call after call
    Given calls to "55" go where the dispatcher says over TLS
    And the dispatcher says
      """
      { "action": "reject", "status": 404 }
      """
    When alice calls "55"
    And 1 second passes
    And bob calls "55"
    And 1 second passes
    Then bob is told not found (404)
    And the dispatcher was asked 2 times
    And the PBX has opened 1 connection to the dispatcher
