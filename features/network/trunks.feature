@SIM-15
Feature: Trunks
  Other systems that take calls for numbers, and call.

  Background:
    Given alice has registered

  Scenario: A trunk takes a call
    Given north is a trunk for numbers that begin with 0
    When alice calls "0123"
    And 2 seconds pass
    Then alice and the trunk north hear each other
    And the trunk north was asked for "0123"
    When alice hangs up
    And 1 second passes
    Then the trunk north's call is over

  Scenario: A trunk ends a call
    Given north is a trunk for numbers that begin with 0
    When alice calls "0123"
    And 2 seconds pass
    And the trunk north hangs up
    And 1 second passes
    Then alice's call is over

  Scenario: A trunk asks for a password
    Given north is a trunk for numbers that begin with 0, with the password "secret"
    When alice calls "0123"
    And 2 seconds pass
    Then alice and the trunk north hear each other
    And the trunk north has asked for a password 1 time
    And the trunk north has nothing to complain of

  Scenario: The password is another one
    Given north is a trunk for numbers that begin with 0, with the password "secret"
    And the trunk north wants the password "changed"
    When alice calls "0123"
    And 2 seconds pass
    Then alice's call is over
    And the trunk north has had 0 calls

  Scenario: A trunk that stays on the way
    Given north is a trunk for numbers that begin with 0
    And the trunk north stays on the way of every request
    When alice calls "0123"
    And 2 seconds pass
    And alice puts bob on hold
    And 2 seconds pass
    And alice hangs up
    And 1 second passes
    Then the trunk north's call is over
    And the trunk north has nothing to complain of

  Scenario Outline: A trunk that <reaction>
    Given north is a trunk for numbers that begin with 0
    And the trunk north <reaction>
    When alice calls "0123"
    And <time> pass
    Then alice is told <told>
    And alice's call is over

    Examples:
      | reaction                        | time       | told                      |
      | refuses with 503 for 30 seconds | 2 seconds  | bad gateway (502)         |
      | refuses with 486                | 2 seconds  | busy (486)                |
      | refuses with 488                | 2 seconds  | not acceptable here (488) |
      | is dead                         | 40 seconds | server timeout (504)      |

  Scenario: A trunk that takes its time
    Given north is a trunk for numbers that begin with 0
    And the trunk north answers after 20 seconds
    When alice calls "0123"
    And 22 seconds pass
    Then alice was answered after 20 seconds
    And alice and the trunk north hear each other

  Scenario: A trunk calls
    Given north is a trunk for numbers that begin with 0
    And alice's telephone answers at once
    When the trunk north calls alice
    And 2 seconds pass
    Then alice and the trunk north hear each other

  Scenario: A trunk loses its power in a call
    Given north is a trunk for numbers that begin with 0
    When alice calls "0123"
    And 2 seconds pass
    And the trunk north loses its power
    And 70 seconds pass
    Then alice's call is over
