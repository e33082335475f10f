@SIM-04 @CORE-01
Feature: Connections that break
  A firewall or a router ends a TCP connection, also in the middle of a message.

  Scenario: A connection is cut and a new one is made
    Given alice has a telephone that speaks TCP
    And alice has registered
    When alice's connection is cut
    And 1 second passes
    And alice registers
    And 1 second passes
    Then alice is registered

  Scenario: A connection is cut in the middle of a message
    Given alice has a telephone that speaks TCP
    And alice and bob have registered
    When alice's connection breaks after 200 more bytes
    And alice calls bob
    And 1 second passes
    Then alice's call is over
    When alice calls bob
    And 1 second passes
    Then bob's telephone rings

  Scenario: A connection that is cut in a call does not end it
    Given alice has a telephone that speaks TCP
    And alice talks to bob
    When alice's connection is cut
    And 2 seconds pass
    Then alice and bob hear each other
