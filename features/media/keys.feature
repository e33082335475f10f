@CORE-10
Feature: Keys that travel in different ways
  As events beside the sound (RFC 4733), as tones in it, or by messages (INFO). What one side knows is turned into what the other
  side knows; no key is heard twice.

  @net(doubling) @net(far)
  Scenario: Tones in the audio become events
    Given alice's telephone knows only PCMU
    And alice talks to bob
    When alice presses "1 5 #" in the audio
    And 2 seconds pass
    Then bob has heard the keys "15#"
    And bob has heard the keys "" in the audio

  @net(doubling) @net(far)
  Scenario: Events become tones in the audio
    Given bob's telephone knows only PCMU
    And alice talks to bob
    When alice presses "1 5 #"
    And 2 seconds pass
    Then bob has heard the keys "15#" in the audio
    And alice and bob hear each other

  Scenario: Tones pass between two who know only them
    Given alice's telephone knows only PCMU
    And bob's telephone knows only PCMA
    And alice talks to bob
    When alice presses "1 5 #" in the audio
    And 2 seconds pass
    Then bob has heard the keys "15#" in the audio

  @net(doubling)
  Scenario: Tones in G.722 become events, and are not heard as well
    Given alice's telephone knows only G722
    And bob's telephone knows only G722 and keys
    And alice talks to bob
    When alice presses "1 5 #" in the audio
    And 2 seconds pass
    Then bob has heard the keys "15#"
    And bob has heard the keys "" in the audio
    And alice and bob hear each other

  Scenario: Events become tones in G.722
    Given alice's telephone knows only G722 and keys
    And bob's telephone knows only G722
    And alice talks to bob
    When alice presses "1 5 #"
    And 2 seconds pass
    Then bob has heard the keys "15#" in the audio

  Scenario: Tones in G.722 become messages
    Given keys reach bob as "info"
    And alice's telephone knows only G722
    And bob's telephone knows only G722
    And alice talks to bob
    When alice presses "1 5 #" in the audio
    And 2 seconds pass
    Then bob has been told the keys "15#" by INFO
    And bob has heard the keys "" in the audio

  Scenario Outline: On a network that loses packets <way> get through
    Given <how>
    And a network that loses 10 % of the packets
    And alice talks to bob
    When <pressed>
    And 15 seconds pass
    Then <heard>

    Examples:
      | way                           | how                                | pressed                          | heard                                          |
      | events                        | keys reach bob as "auto"           | alice presses "1 5 #"            | bob has heard the keys "15#"                   |
      | messages                      | keys reach bob as "auto"           | alice presses "1 5 #" by INFO    | bob has been told the keys "15#" by INFO       |
      | messages that become events   | keys reach bob as "rfc4733"        | alice presses "1 5 #" by INFO    | bob has heard the keys "15#"                   |
      | events that become messages   | keys reach bob as "info"           | alice presses "1 5 #"            | bob has been told the keys "15#" by INFO       |

  Scenario: Messages become events
    Given keys reach bob as "rfc4733"
    And alice talks to bob
    When alice presses "1 5 #" by INFO
    And 2 seconds pass
    Then bob has heard the keys "15#"
    And bob has been told the keys "" by INFO

  Scenario: Messages become tones in the audio
    Given keys reach bob as "inband"
    And alice talks to bob
    When alice presses "1 5 #" by INFO
    And 2 seconds pass
    Then bob has heard the keys "15#" in the audio

  Scenario: Events become messages
    Given keys reach bob as "info"
    And alice talks to bob
    When alice presses "1 5 #"
    And 2 seconds pass
    Then bob has been told the keys "15#" by INFO
    And bob has heard the keys "" in the audio

  Scenario: Tones in the audio become messages
    Given keys reach bob as "info"
    And alice's telephone knows only PCMU
    And alice talks to bob
    When alice presses "1 5 #" in the audio
    And 2 seconds pass
    Then bob has been told the keys "15#" by INFO
    And bob has heard the keys "" in the audio

  Scenario: Messages pass as they come where nothing else is configured
    Given alice talks to bob
    When alice presses "1 5 #" by INFO
    And 2 seconds pass
    Then bob has been told the keys "15#" by INFO
    And bob has heard the keys ""
