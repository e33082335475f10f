@CORE-04
Feature: What was ordered is picked up
  A telephone takes what rings at another one (RFC 3891), also where an application or a queue has ordered it.

  Background:
    Given an application that controls the PBX
    And alice, bob and carol have registered

  @RWI-20 @net(lossy)
  Scenario: An application calls one, and another one answers
    When the application calls bob as leg_b
    And 1 second passes
    Then bob's telephone rings
    When carol picks up the call that rings at bob
    And 1 second passes
    Then the application is told "call.answered leg_b by=carol"
    And bob's telephone does not ring
    And CANCEL to bob says "Call completed elsewhere"
    When the application calls alice as leg_a, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_b"
    And 1 second passes
    Then alice and carol hear each other
    When carol hangs up
    And 1 second passes
    Then the application is told "call.hangup leg_b by=callee"
    When the application commands "call.hangup call_id=leg_a"
    Then nothing is left over

  @RWI-28 @CORE-08 @net(lossy)
  Scenario: An agent's call is picked up by a colleague
    Given a sound "waiting.wav" of 900 Hz for 2 seconds
    And dave has registered
    And a queue "support" with the agents bob and dave, who are rung "in_turn"
    And calls to "600" wait in the queue "support"
    And the application commands "session.subscribe contexts=default,"
    And carol watches bob
    When alice calls "600"
    And 1 second passes
    And carol picks up what rings at whom she watches
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring
    And carol sees no call
    And the application is told "queue.agent_connected $incoming agent_id=carol"
    When alice hangs up
    And 2 seconds pass
    And alice calls "600"
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice and bob hear each other

  @RWI-28 @net(lossy)
  Scenario: Of two agents who ring, one is picked up
    Given a sound "waiting.wav" of 900 Hz for 2 seconds
    And dave has registered
    And a queue "support" with the agents bob and dave, who are rung "all"
    And calls to "600" wait in the queue "support"
    When alice calls "600"
    And 1 second passes
    And carol picks up the call that rings at dave
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring
    And dave's telephone does not ring

  @net(lossy)
  Scenario: The target of a transfer is picked up
    Given dave has registered
    And alice talks to bob
    When bob transfers the call to dave
    And 2 seconds pass
    And carol picks up the call that rings at dave
    And 2 seconds pass
    Then alice and carol hear each other
    And dave's telephone does not ring
    And bob's call is over
    And bob is told of the transfer "100, 180, 200"

  @net(lossy)
  Scenario: Two want it, and one has it
    Given dave has registered
    When the application calls bob as leg_b
    And 1 second passes
    And carol and dave pick up the call that rings at bob at once
    And 1 second passes
    Then the application is told "call.answered leg_b"
    And bob's telephone does not ring
    And exactly one of carol and dave is in a call

  @net(lossy)
  Scenario: It is picked up without an offer
    Given carol calls without an offer
    When the application calls bob as leg_b
    And 1 second passes
    And carol picks up the call that rings at bob
    And 1 second passes
    And the application calls alice as leg_a, who answers
    And the application commands "call.bridge leg_a=leg_a leg_b=leg_b"
    And 1 second passes
    Then alice and carol hear each other

  @net(lossy)
  Scenario: There is no port for whoever wants to pick it up
    Given the PBX has ports for 1 leg
    When the application calls bob as leg_b
    And 1 second passes
    And carol picks up the call that rings at bob
    And 1 second passes
    Then carol is told service unavailable (503)
    And bob's telephone rings

  @net(lossy)
  Scenario: A stranger picks up nothing
    Given mallory has a telephone
    When mallory registers with a wrong password
    And the application calls bob as leg_b
    And 1 second passes
    And mallory picks up the call that rings at bob
    And 5 seconds pass
    Then mallory is told proxy authentication required (407)
    And bob's telephone rings
