@SIM-04 @CORE-10
Feature: Links that carry little
  Rates, small packets, bursts of losses and damage: what a cheap line does.

  Scenario: A line that has room for one call
    Given a network that carries 256 kbit a second
    And alice talks to bob
    When 10 seconds pass
    Then alice and bob hear each other

  Scenario: A line that has no room for a call
    Given alice talks to bob
    When the network carries 40 kbit a second
    And 10 seconds pass
    And the network heals
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Losses that come together
    Given a network that loses all packets for 10 % of the time
    And alice talks to bob
    When 10 seconds pass
    Then alice and bob hear each other

  @CORE-02
  Scenario Outline: Damaged packets, <share> % of all
    Given alice talks to bob
    When the network damages <share> % of the packets
    And 10 seconds pass
    And alice hangs up
    And 100 seconds pass
    Then bob's call is over
    And there is 1 call record

    Examples:
      | share |
      | 1     |
      | 10    |

  @CORE-03
  Scenario: Messages in fragments
    Given a network that carries at most 576 bytes in a packet
    And alice talks to bob
    Then alice and bob hear each other

  @CORE-01
  Scenario: A firewall that drops fragments stops large messages over UDP
    Given a network that carries at most 576 bytes in a packet
    And a firewall that lets no fragments through
    And alice has a telephone
    When alice calls "bob"
    And 40 seconds pass
    Then alice is told request timeout (408)

  @CORE-01
  Scenario: Over TCP large messages pass the same firewall
    Given a network that carries at most 576 bytes in a packet
    And a firewall that lets no fragments through
    And alice has a telephone that speaks TCP
    And bob has a telephone that speaks TCP
    And alice talks to bob
    Then alice and bob hear each other
