@CORE-09
Feature: Calls that nobody takes
  What a caller is told when there is nobody to talk to.

  Scenario: The callee is busy
    Given alice and bob have registered
    And bob's telephone refuses with busy (486)
    When alice calls bob
    And 1 second passes
    Then alice is told busy (486)
    And the call record says busy

  Scenario: Nobody answers
    Given alice and bob have registered
    And bob's telephone is never answered
    When alice calls bob
    And 31 seconds pass
    Then alice's call is over
    And bob's telephone does not ring
    And the call record says no_answer

  Scenario: The callee refuses after a while
    Given alice and bob have registered
    When alice calls bob
    And 3 seconds pass
    And bob refuses the call
    And 1 second passes
    Then alice is told busy (486)

  @CORE-03
  Scenario: The caller gives up
    Given alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    And alice gives up
    And 1 second passes
    Then bob's telephone does not ring
    And the call record says cancelled

  @CORE-03
  Scenario: The caller gives up before it rings
    Given alice and bob have registered
    When alice calls bob
    And alice gives up
    And 1 second passes
    Then bob's telephone does not ring
    And nothing is left over

  @CORE-03
  Scenario: The answer crosses the giving up
    Given alice and bob have registered
    When alice calls bob
    And 2 seconds pass
    And bob answers as alice gives up
    And 5 seconds pass
    Then alice's call is over
    And bob's call is over
    And there is 1 call record

  @CORE-08
  Scenario: Nobody has this number
    Given alice has registered
    When alice calls "4711"
    And 1 second passes
    Then alice is told not found (404)

  Scenario: Nobody is registered there
    Given alice has registered
    And bob has a telephone
    When alice calls bob
    And 1 second passes
    Then alice is told temporarily unavailable (480)

  @CORE-07
  Scenario: A stranger does not get through
    Given bob has registered
    And mallory has a telephone
    When mallory registers with a wrong password
    And mallory calls bob
    And 2 seconds pass
    Then bob's telephone does not ring
    And mallory is told proxy authentication required (407)

  Scenario: A dead telephone is given up
    Given alice and bob have registered
    And bob's telephone does not react
    When alice calls bob
    And 40 seconds pass
    Then alice's call is over
    And nothing is left over

  @CORE-09
  Scenario: A busy telephone forwards
    Given calls to bob go to carol when busy
    And alice, bob and carol have registered
    And bob's telephone refuses with busy (486)
    When alice calls bob
    And 1 second passes
    Then carol's telephone rings

  @CORE-09
  Scenario: A telephone that is not answered forwards
    Given calls to bob that are not answered go to carol
    And alice, bob and carol have registered
    And bob's telephone is never answered
    When alice calls bob
    And 31 seconds pass
    Then carol's telephone rings
    And bob's telephone does not ring
