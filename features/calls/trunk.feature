@CORE-08
Feature: Calls to the outside
  Numbers that begin with 0 go out over a trunk; when one system does not answer, the next is tried.

  Background:
    Given a trunk for numbers that begin with 0, to north, then to south
    And north's telephone answers at once
    And south's telephone answers at once
    And alice has registered

  Scenario: The first takes the call
    When alice calls "0123"
    And 2 seconds pass
    Then alice and north hear each other
    And south has had 0 calls

  Scenario: The first is dead
    Given north's telephone does not react
    When alice calls "0123"
    And 3 seconds pass
    Then alice and south hear each other

  Scenario: The first is out of order
    Given north's telephone refuses with service unavailable (503)
    When alice calls "0123"
    And 2 seconds pass
    Then alice and south hear each other

  Scenario: The first is busy
    Given north's telephone refuses with busy (486)
    When alice calls "0123"
    And 2 seconds pass
    Then alice is told busy (486)
    And south has had 0 calls
