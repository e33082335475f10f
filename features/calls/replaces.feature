@CORE-04
Feature: A telephone takes another's place in a call
  Replaces (RFC 3891): an INVITE names a dialog, and whoever sends it comes in the place of who had that.

  Background:
    Given alice, bob and carol have registered

  Scenario: A talk goes on at another telephone
    Given alice talks to bob
    When carol takes bob's place in the call
    And 1 second passes
    Then alice and carol hear each other
    And bob's call is over

  Scenario: The caller's place is taken
    Given alice talks to bob
    When carol takes alice's place in the call
    And 1 second passes
    Then bob and carol hear each other
    And alice's call is over

  Scenario: A call that rings elsewhere is picked up
    When alice calls bob
    And 1 second passes
    And carol picks up the call that rings at bob
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone does not ring

  Scenario: What is answered cannot be picked up any more
    Given alice talks to bob
    When carol picks up the call that rings at bob
    And 1 second passes
    Then carol is told busy (486)
    And alice and bob hear each other

  Scenario: There is no such call
    When carol wants to take the place of somebody in a call that does not exist
    And 1 second passes
    Then carol is told call does not exist (481)

  Scenario: What rings at the PBX is not given away
    When alice calls bob
    And 1 second passes
    And carol takes alice's place in the call
    And 1 second passes
    Then carol is told call does not exist (481)
    And bob's telephone rings

  Scenario: A stranger takes nobody's place
    Given alice talks to bob
    And mallory has a telephone
    When mallory registers with a wrong password
    And mallory takes bob's place in the call
    And 5 seconds pass
    Then alice and bob hear each other
    And mallory is told proxy authentication required (407)

  Scenario Outline: In a network that loses <loss> % of the packets
    Given alice talks to bob
    And a network that loses <loss> % of the packets
    When carol takes bob's place in the call
    And 20 seconds pass
    Then bob's call is over
    And alice's call is still up
    And carol's call is still up

    Examples:
      | loss |
      | 10   |
      | 25   |
