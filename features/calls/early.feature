@CORE-10 @SIM-15
Feature: What a caller hears before the answer

  Background:
    Given alice and bob have registered
    And bob's telephone plays 425 Hz until it is answered

  Scenario: An announcement before the answer
    When alice calls bob
    And 1 second passes
    Then alice is told session progress (183)
    And alice hears 425 Hz
    And alice's call is not answered yet

  Scenario: The answer after the announcement
    When alice calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice and bob hear each other

  Scenario: The caller gives up during the announcement
    When alice calls bob
    And 1 second passes
    And alice gives up
    And 1 second passes
    Then bob's telephone does not ring
    And the call record says cancelled

  @CORE-04
  Scenario: A telephone wants to know that it was heard
    Given bob's telephone wants PRACK
    When alice calls bob
    And 1 second passes
    Then alice hears 425 Hz
    And PRACK was sent 2 times
    When bob answers
    And 1 second passes
    Then alice and bob hear each other

  @CORE-04
  Scenario: A caller who knows no PRACK
    Given bob's telephone wants PRACK
    And alice's telephone knows no PRACK
    When alice calls bob
    And 1 second passes
    Then alice hears 425 Hz
    And PRACK was sent 1 time

  @CORE-04
  Scenario: It is heard in a network that loses packets too
    Given a network that loses 10 % of the packets
    And bob's telephone wants PRACK
    When alice calls bob
    And 10 seconds pass
    Then alice hears 425 Hz
    When bob answers
    And 10 seconds pass
    Then alice and bob hear each other
