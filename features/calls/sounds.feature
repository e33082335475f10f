@CORE-10 @SIM-15
Feature: What people say and press

  Background:
    Given alice talks to bob

  Scenario: A sequence of tones
    When alice says, one after the other
      | for      | tone    |
      | 1 second | 600 Hz  |
      | 1 second | nothing |
      | 1 second | 900 Hz  |
    And 700 ms pass
    Then bob hears 600 Hz
    When 1 second passes
    Then bob's telephone is silent
    When 1 second passes
    Then bob hears 900 Hz

  Scenario: Pauses that are left out
    Given alice's telephone leaves out pauses
    When alice says, one after the other
      | for       | tone    |
      | 1 second  | 600 Hz  |
      | 2 seconds | nothing |
      | 1 second  | 900 Hz  |
    And 3700 ms pass
    Then bob hears 900 Hz
    And alice hears bob

  Scenario: A recording is played
    When alice says nothing
    And bob plays a recording of what alice has heard
    And 300 ms pass
    Then alice hears 600 Hz

  Scenario: A text during a call
    When alice writes "I am late" to bob
    And 1 second passes
    Then bob has read "I am late"
    And alice and bob hear each other

  Scenario: Keys that are heard as tones
    Given carol's telephone knows only PCMU
    And carol has registered
    When carol calls the tone
    And 3 seconds pass
    And carol presses "15#" in the audio
    And 2 seconds pass
    Then the PBX has heard the keys "15#"
