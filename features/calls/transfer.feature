@CORE-04
Feature: A telephone transfers its call
  REFER (RFC 3515): whoever a telephone talks to is to talk to somebody else. How it comes along it is told by NOTIFY.

  Background:
    Given alice talks to bob
    And carol has registered

  Scenario: Who was called sends the caller to somebody else
    When bob transfers the call to carol
    And 500 ms pass
    Then carol's telephone rings
    And alice hears 425 Hz
    And INVITE to carol says "Referred-By: <sip:bob@pbx.example>"
    When carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over
    And bob is told of the transfer "100, 180, 200"

  Scenario: The caller sends who was called to somebody else
    When alice transfers the call to carol
    And 1 second passes
    And carol answers
    And 1 second passes
    Then bob and carol hear each other
    And alice's call is over

  Scenario: To a number for which a web service is asked
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "route", "targets": ["carol"] }
      """
    When bob transfers the call to "55"
    And 1 second passes
    Then carol's telephone rings
    When carol answers
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over

  Scenario: The web service knows nobody for it, and they talk on
    Given calls to "55" go where the dispatcher says
    And the dispatcher says
      """
      { "action": "reject", "status": 404 }
      """
    When bob transfers the call to "55"
    And 2 seconds pass
    Then alice and bob hear each other

  Scenario: Who has sent the other on does not wait for the end
    When bob transfers the call to carol and hangs up
    And 1 second passes
    Then bob's call is over
    And carol's telephone rings
    When carol answers
    And 1 second passes
    Then alice and carol hear each other

  Scenario: Whoever was sent on talks for a while, and both ends end together
    When bob transfers the call to carol
    And 1 second passes
    And carol answers
    And 1 minute passes
    Then alice and carol hear each other
    When carol hangs up
    And 1 second passes
    Then alice's call is over

  Scenario Outline: The target <does>, and the talk is given back
    Given carol's telephone <does>
    When bob transfers the call to carol
    And <time> pass
    Then bob is told of the transfer "<told>"
    And alice and bob hear each other
    When bob hangs up
    And 1 second passes
    Then alice's call is over

    Examples:
      | does                       | time       | told          |
      | refuses with busy (486)    | 2 seconds  | 100, 486      |
      | refuses with decline (603) | 2 seconds  | 100, 603      |
      | is never answered          | 35 seconds | 100, 180, 480 |

  Scenario: The target refuses, and nobody is left to give the talk back to
    Given carol's telephone refuses with busy (486)
    When bob transfers the call to carol and hangs up
    And 1 second passes
    Then alice hears 425 Hz
    When 4 seconds pass
    Then alice's call is over

  Scenario: A caller who was put on hold talks again
    When bob puts alice on hold
    And 1 second passes
    And bob transfers the call to carol
    And 1 second passes
    And carol answers
    And 2 seconds pass
    Then alice is not on hold
    And alice and carol hear each other

  Scenario: To an application of the dial plan
    When bob transfers the call to "9196"
    And 1 second passes
    Then alice hears an echo
    And bob's call is over
    And bob is told of the transfer "100, 200"

  Scenario: To a number that nobody has
    When bob transfers the call to "4711"
    And 1 second passes
    Then bob may not transfer: not found (404)
    And alice and bob hear each other

  Scenario: One transfer at a time
    When bob transfers the call to carol
    And 1 second passes
    And bob transfers the call to "9196"
    And 1 second passes
    Then bob is told of the transfer "100, 180, 491"
    And carol's telephone rings

  Scenario: The transferee hangs up while it rings
    When bob transfers the call to carol
    And 1 second passes
    And alice hangs up
    And 3 seconds pass
    Then carol's telephone does not ring
    And bob's call is over
    And bob is told of the transfer "100, 180, 487"

  Scenario: Both hang up while it rings
    When bob transfers the call to carol
    And 1 second passes
    And alice and bob hang up at once
    And 1 second passes
    Then carol's telephone does not ring

  Scenario: A telephone that does not want to hear what becomes of it
    Given bob does not want to hear what becomes of a transfer
    When bob transfers the call to carol
    And 1 second passes
    And carol answers
    And 3 seconds pass
    Then alice and carol hear each other
    And bob's call is over
    And NOTIFY was sent 0 times

  Scenario Outline: In a network that loses <loss> % of the packets
    Given a network that loses <loss> % of the packets
    When bob transfers the call to carol
    And 20 seconds pass
    And carol answers
    And 20 seconds pass
    Then bob's call is over
    And alice is talking to bob
    And carol's call is still up

    Examples:
      | loss |
      | 10   |
      | 25   |
