@CORE-09
Feature: Several telephones of one person
  All of them ring; the first to answer has the call.

  Background:
    Given alice and bob have registered
    And mobile is another telephone of bob
    And mobile has registered

  Scenario: All of them ring
    When alice calls bob
    And 1 second passes
    Then bob's telephone rings
    And mobile's telephone rings

  Scenario: The first to answer has the call
    When alice calls bob
    And 1 second passes
    And mobile answers
    And 1 second passes
    Then alice and mobile hear each other
    And bob's telephone does not ring

  Scenario: One is busy and the other answers
    Given bob's telephone refuses with busy (486)
    When alice calls bob
    And 1 second passes
    And mobile answers
    And 1 second passes
    Then alice and mobile hear each other

  Scenario: One has lost its network
    Given mobile's telephone does not react
    When alice calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice and bob hear each other
    And nothing is left over

  Scenario: The caller gives up
    When alice calls bob
    And 1 second passes
    And alice gives up
    And 1 second passes
    Then bob's telephone does not ring
    And mobile's telephone does not ring

  @CORE-03
  Scenario: Both answer at once
    Given bob's telephone answers after 1 second
    And mobile's telephone answers after 1 second
    When alice calls bob
    And 3 seconds pass
    Then alice's call is still up
    And there are 0 call records
    When alice hangs up
    And 1 second passes
    Then there is 1 call record
