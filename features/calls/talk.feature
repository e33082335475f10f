@CORE-04 @CORE-09 @CORE-10
Feature: Two people talk
  A telephone calls another one through the PBX; both hear each other until one of them hangs up.

  @real @net(lossy) @net(jittery) @net(doubling) @net(shuffling) @net(far)
  Scenario: They hear each other
    Given alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    Then bob's telephone rings
    When bob answers
    And 1 second passes
    Then alice and bob hear each other
    And alice is told ringing (180)

  @real
  Scenario: The caller hangs up
    Given alice talks to bob
    When alice hangs up
    And 1 second passes
    Then bob's call is over
    And nothing is left over

  @real
  Scenario: The callee hangs up
    Given alice talks to bob
    When bob hangs up
    And 1 second passes
    Then alice's call is over
    And nothing is left over

  Scenario: Both hang up at once
    Given alice talks to bob
    When alice and bob hang up at once
    And 1 second passes
    Then there is 1 call record
    And nothing is left over

  @CORE-11
  Scenario: What is written down of a call
    Given alice talks to bob
    When 10 seconds pass
    And bob hangs up
    And 1 second passes
    Then there is 1 call record
    And the call record says answered
    And the call record says 10.5 seconds
    And the call record says that the callee hung up

  @slow
  Scenario: One talks for an hour
    Given alice talks to bob
    When 1 hour passes
    Then alice and bob hear each other

  @CORE-01 @real
  Scenario: One speaks TCP and the other UDP
    Given alice has a telephone that speaks TCP
    And alice talks to bob
    Then alice and bob hear each other

  @CORE-01 @real
  Scenario: A telephone that speaks TCP is called
    Given bob has a telephone that speaks TCP
    And alice talks to bob
    Then alice and bob hear each other

  @real
  Scenario: Two calls do not disturb each other
    Given alice talks to bob
    And carol talks to dave
    Then alice and bob hear each other
    And carol and dave hear each other
