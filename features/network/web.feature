@CORE-01
Feature: SIP over WebSockets
  A browser is a telephone that listens nowhere: it is reached by the connection it has opened (RFC 7118).

  Scenario Outline: A browser and a telephone call each other over <what>
    Given alice has a telephone that speaks <what>
    And alice's telephone answers at once
    And bob's telephone answers at once
    And alice and bob have registered
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
    When alice hangs up
    And 1 second passes
    And bob calls alice
    And 1 second passes
    Then alice and bob hear each other
    And alice's telephone has opened 1 connection

    Examples:
      | what             |
      | WebSocket        |
      | secure WebSocket |

  @real
  Scenario: Two browsers
    Given alice has a telephone that speaks WebSocket
    And bob has a telephone that speaks WebSocket
    And alice talks to bob
    When alice puts bob on hold
    And 2 seconds pass
    And alice hangs up
    And 1 second passes
    Then bob's call is over

  Scenario: Who has closed the page cannot be called until it is back
    Given alice has a telephone that speaks WebSocket
    And alice and bob have registered
    When alice's connection is cut
    And 1 second passes
    And bob calls alice
    And 200 ms pass
    Then bob is told temporarily unavailable (480)
    When 10 seconds pass
    And bob calls alice
    And 1 second passes
    Then alice's telephone rings

  Scenario: A call outlives the connection of its signalling
    Given alice has a telephone that speaks WebSocket
    And alice talks to bob
    When alice's connection is cut
    And 1 second passes
    Then alice and bob hear each other

  Scenario: A browser that is gone without a word is noticed
    Given alice has a telephone that speaks WebSocket
    And alice and bob have registered
    When alice's network is gone
    And 2 minutes pass
    And bob calls alice
    And 1 second passes
    Then bob is told temporarily unavailable (480)

  Scenario: A connection is cut in the middle of a message
    Given alice has a telephone that speaks WebSocket
    And alice and bob have registered
    When alice's connection breaks after 200 more bytes
    And alice calls bob
    And 1 second passes
    Then alice's call is over
    When 10 seconds pass
    And alice calls bob
    And 1 second passes
    Then bob's telephone rings

  Scenario: A browser in a network that loses packets
    Given a network that loses 20 % of the packets
    And alice has a telephone that speaks WebSocket
    And alice talks to bob
    When the network loses 0 % of the packets
    And 1 second passes
    Then alice and bob hear each other
