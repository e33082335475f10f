Feature: Callers wait for agents

  Background:
    Given an application that controls the PBX
    And a sound "waiting.wav" of 900 Hz for 2 seconds
    And alice, bob and carol have registered
    And dave has registered
    And a queue "support" with the agents bob and carol, who are rung "in_turn"

  @RWI-11 @RWI-28 @real @net(lossy)
  Scenario: A caller waits, is held, and gets an agent
    Given bob's telephone is never answered
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support priority=5 max_wait_secs=300"
    Then the command has succeeded
    And the application is told "queue.joined leg_a queue_id=support position=1"
    When the application commands "queue.hold call_id=leg_a"
    And 1 second passes
    Then the application is told "queue.hold leg_a"
    And alice hears 900 Hz
    And bob's telephone does not ring
    When the application commands "queue.unhold call_id=leg_a"
    And the application commands "queue.dequeue call_id=leg_a agent_id=carol"
    And 1 second passes
    And carol answers
    And 1 second passes
    Then the application is told "queue.agent_connected leg_a agent_id=carol"
    And alice and carol hear each other
    And bob's telephone does not ring

  @RWI-11 @CORE-08 @net(lossy)
  Scenario: The next agent is rung when the first does not answer
    Given bob's telephone is never answered
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    And 11 seconds pass
    Then carol's telephone rings
    And the application is told "queue.agent_no_answer leg_a agent_id=bob"
    When carol answers
    And 1 second passes
    Then alice and carol hear each other

  @RWI-11 @RWI-28 @net(lossy)
  Scenario: By priority, then by arrival
    Given bob's telephone is never answered
    And carol's telephone is never answered
    When the application calls alice as leg_a, who answers
    And the application calls dave as leg_d, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    And the application commands "queue.hold call_id=leg_a"
    And the application commands "queue.enqueue call_id=leg_d queue_id=support priority=9"
    Then the answer to the command says "position=1"
    And the application is told "queue.position_changed leg_a position=2"
    When the application commands "queue.set_priority call_id=leg_a priority=10"
    Then the application is told "queue.position_changed leg_a position=1"

  @RWI-11 @net(lossy)
  Scenario: Who has waited too long is parked
    Given bob's telephone is never answered
    And carol's telephone is never answered
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support max_wait_secs=8"
    And 10 seconds pass
    Then the application is told "queue.wait_timeout leg_a"
    And the application is told "queue.left leg_a reason=timeout"
    And alice's telephone is silent
    And carol's telephone does not ring

  @RWI-28 @net(lossy)
  Scenario: Who gives up leaves no agent ringing
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    And 1 second passes
    Then bob's telephone rings
    When alice hangs up
    And 1 second passes
    Then bob's telephone does not ring
    And the application has been told, in order:
      | event                          |
      | queue.left leg_a reason=abandoned |
    And nothing is left over

  @RWI-28 @net(lossy)
  Scenario: From one queue into another
    Given a queue "sales" with the agents carol and dave, who are rung "all"
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    And 1 second passes
    Then bob's telephone rings
    When the application commands "queue.requeue call_id=leg_a queue_id=sales"
    And 1 second passes
    Then bob's telephone does not ring
    And carol's telephone rings
    And dave's telephone rings
    When dave answers
    And 1 second passes
    Then alice and dave hear each other
    And carol's telephone does not ring

  @RWI-28 @net(lossy)
  Scenario: An agent is named who is to take the call
    Given bob's telephone is never answered
    When the application calls alice as leg_a, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    And the application commands "queue.assign_agent call_id=leg_a agent_id=carol"
    And 1 second passes
    And carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring

  @RWI-28
  Scenario Outline: What makes no sense in a queue: <command>
    Given the application calls alice as leg_a, who answers
    When the application commands "<command>"
    Then the command has failed as <code>

    Examples:
      | command                                        | code           |
      | queue.enqueue call_id=leg_a queue_id=nowhere   | invalid_params |
      | queue.dequeue call_id=leg_a                    | invalid_state  |
      | queue.hold call_id=leg_a                       | invalid_state  |
      | queue.enqueue call_id=leg_x queue_id=support   | call_not_found |

  @RWI-06 @CORE-08 @net(lossy)
  Scenario: A customer is transferred into a queue
    Given the application lets alice as leg_a talk to dave as leg_d
    And calls to "support" wait in the queue "support"
    When the application commands "call.transfer.attended call_id=leg_a target=sip:support@local"
    And the application commands "call.transfer.complete call_id=leg_a consultation_call_id=$consultation_call_id"
    And 1 second passes
    Then the application is told "queue.joined leg_a queue_id=support"
    And dave's call is over
    And bob's telephone rings
    When bob answers
    And 1 second passes
    Then alice and bob hear each other

  @CORE-08 @net(lossy)
  Scenario: A caller dials into a queue, with no application in it
    Given calls to "300" wait in the queue "support"
    When alice calls "300"
    And 2 seconds pass
    Then alice hears 900 Hz
    And bob's telephone rings
    When bob answers
    And 1 second passes
    Then alice and bob hear each other
    When bob hangs up
    And 1 second passes
    Then alice's call is over

  @CORE-08 @net(lossy)
  Scenario: An agent who has talked is left alone for a while
    Given a queue "sales" with the agents dave and bob, who are rung "in_turn" and left alone for 30 seconds
    And calls to "300" wait in the queue "sales"
    When alice calls "300"
    And 1 second passes
    And dave answers
    And 1 second passes
    And dave hangs up
    And 1 second passes
    And alice calls "300"
    And 1 second passes
    Then dave's telephone does not ring
    And bob's telephone rings

  @CORE-08 @net(lossy)
  Scenario: A caller is told now and then how it stands, and hears the music again after it
    Given a sound "patience.wav" of 1500 Hz for 2 seconds
    And bob's telephone is never answered
    And carol's telephone is never answered
    And the queue "support" says "patience.wav" every 5 seconds
    And calls to "300" wait in the queue "support"
    When alice calls "300"
    And 4 seconds pass
    Then alice hears 900 Hz
    When 2 seconds pass
    Then alice hears 1500 Hz
    When 2 seconds pass
    Then alice hears 900 Hz

  @CORE-08 @net(lossy)
  Scenario: What a caller is to be told is not there
    Given bob's telephone is never answered
    And carol's telephone is never answered
    And the queue "support" says "missing.wav" every 5 seconds
    And calls to "300" wait in the queue "support"
    When alice calls "300"
    And 6 seconds pass
    Then alice hears 900 Hz

  @RWI-11 @RWI-28 @net(lossy)
  Scenario: Who is bridged while he waits has left the queue
    Given bob's telephone is never answered
    And the application calls alice as leg_a, who answers
    And the application calls dave as leg_d, who answers
    And the application commands "queue.enqueue call_id=leg_a queue_id=support"
    When the application commands "call.bridge leg_a=leg_a leg_b=leg_d"
    And 1 second passes
    Then the application is told "queue.left leg_a reason=dequeued"
    And bob's telephone does not ring
    And alice and dave hear each other
