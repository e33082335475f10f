@CORE-04 @SIM-15
Feature: Session timers
  Who is still there says so now and then (RFC 4028); who does not is hung up on.

  Background:
    Given alice and bob have registered
    And bob's telephone answers at once

  Scenario: A telephone that refreshes its call
    Given alice's telephone wants a session of 2 minutes, refreshed by itself
    When alice calls bob
    And 5 minutes pass
    Then alice and bob hear each other
    And UPDATE was sent 4 times

  Scenario: A telephone that wants its call refreshed
    Given alice's telephone wants a session of 2 minutes, refreshed by the PBX
    When alice calls bob
    And 5 minutes pass
    Then alice and bob hear each other
    And UPDATE was sent 4 times

  Scenario: Who knows no UPDATE is refreshed by INVITE
    Given alice's telephone wants a session of 2 minutes, refreshed by the PBX
    And alice's telephone knows no UPDATE
    When alice calls bob
    And 5 minutes pass
    Then alice and bob hear each other
    And UPDATE was sent 0 times

  Scenario: A telephone without session timers
    Given alice's telephone wants a session of 2 minutes, refreshed by itself
    And bob's telephone knows no session timer
    When alice calls bob
    And 5 minutes pass
    Then alice and bob hear each other

  Scenario: A session that is too short
    Given alice's telephone wants a session of 30 seconds, refreshed by itself
    When alice calls bob
    And 2 seconds pass
    Then the answer was session interval too small (422)
    And alice and bob hear each other

  Scenario: A telephone that is not there any more
    Given alice's telephone wants a session of 2 minutes, refreshed by itself
    When alice calls bob
    And 10 seconds pass
    And alice's network is gone
    And 100 seconds pass
    Then bob's call is over
    And there is 1 call record
