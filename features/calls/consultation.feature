@CORE-04
Feature: A telephone puts its two calls through to each other
  REFER with Replaces (RFC 5589 section 7): first the one in the middle talks to both, then they talk to each other.

  Background:
    Given alice talks to bob
    And carol has registered

  Scenario: Who was called asks somebody first
    When bob puts alice on hold
    And 1 second passes
    And bob calls carol
    And 1 second passes
    And carol answers
    And 1 second passes
    Then bob and carol hear each other
    When bob connects his two calls
    And 2 seconds pass
    Then alice and carol hear each other
    And alice is not on hold
    And bob's call is over
    And bob is told of the transfer "100, 200"

  Scenario: Who was called by both connects them
    When carol calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    And bob connects his two calls
    And 2 seconds pass
    Then alice and carol hear each other
    And bob's call is over

  Scenario: It still rings, and is put through all the same
    When bob puts alice on hold
    And 1 second passes
    And bob calls carol
    And 1 second passes
    And bob connects his two calls
    And 1 second passes
    Then carol's telephone rings
    When carol answers
    And 2 seconds pass
    Then alice and carol hear each other
    And bob's call is over

  Scenario: The one in the middle hangs up at once
    When bob puts alice on hold
    And 1 second passes
    And bob calls carol
    And 1 second passes
    And carol answers
    And 1 second passes
    And bob connects his two calls
    And bob hangs up
    And 2 seconds pass
    Then alice and carol hear each other

  Scenario: The target has hung up before
    When bob puts alice on hold
    And 1 second passes
    And bob calls carol
    And 1 second passes
    And carol answers
    And 1 second passes
    And carol hangs up as bob connects his two calls
    And 3 seconds pass
    Then carol's call is over

  Scenario Outline: In a network that loses <loss> % of the packets
    Given a network that loses <loss> % of the packets
    When carol calls bob
    And 20 seconds pass
    And bob answers
    And 10 seconds pass
    And bob connects his two calls
    And 20 seconds pass
    Then bob's call is over
    And alice's call is still up
    And carol's call is still up

    Examples:
      | loss |
      | 10   |
      | 20   |
