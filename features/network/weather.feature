@CORE-03 @CORE-10
Feature: Bad weather
  Packets are lost, late, doubled, overtaken; calls work nevertheless.

  Scenario Outline: A call begins while <loss> % of the packets are lost
    Given a network that loses <loss> % of the packets
    And alice talks to bob
    When the network loses 0 % of the packets
    And 1 second passes
    Then alice and bob hear each other

    Examples:
      | loss |
      | 0    |
      | 5    |
      | 10   |
      | 20   |
      | 30   |

  Scenario Outline: A call ends while <loss> % of the packets are lost
    Given alice talks to bob
    When the network loses <loss> % of the packets
    And alice hangs up
    And 40 seconds pass
    Then bob's call is over
    And there is 1 call record

    Examples:
      | loss |
      | 5    |
      | 10   |
      | 20   |
      | 30   |

  @seeds(5)
  Scenario: Some loss is not heard as silence
    Given alice talks to bob
    When the network loses 5 % of the packets
    And 10 seconds pass
    Then alice and bob hear each other

  Scenario: Packets that come twice
    Given a network that delivers 50 % of the packets twice
    And alice talks to bob
    Then alice and bob hear each other
    And there are 0 call records
    And nothing is left over

  Scenario: Packets that come late
    Given a network in which packets take up to 80 ms longer
    And alice talks to bob
    When 3 seconds pass
    Then alice and bob hear each other

  Scenario: Packets that are overtaken
    Given a network in which 20 % of the packets are overtaken
    And alice talks to bob
    When 3 seconds pass
    Then alice and bob hear each other

  Scenario: Keys in a network that loses packets
    Given alice talks to bob
    When the network loses 20 % of the packets
    And alice presses "1 2 3 4 5 6"
    And 3 seconds pass
    Then bob has heard the keys "123456"

  Scenario: The tone in a network that loses packets
    Given a network that loses 10 % of the packets
    And alice has registered
    When alice calls the tone
    And 5 seconds pass
    Then alice hears 440 Hz

  Scenario: TCP in a network that loses packets
    Given a network that loses 20 % of the packets
    And alice has a telephone that speaks TCP
    And bob has a telephone that speaks TCP
    And alice talks to bob
    When the network loses 0 % of the packets
    And 1 second passes
    Then alice and bob hear each other
