@SIM-15
Feature: Recorders
  They take recording sessions and keep each voice by its label; here a tap with two voices asks them to.

  Scenario Outline: Both voices are held
    When the tap records at north over <transport>
    And 5 seconds pass
    And the tap stops
    And 1 second passes
    Then the recorder north holds alice on channel 1 and bob on channel 2
    And the recorder north holds 5 seconds of each voice
    And the recorder north has stopped
    And the recorder north has nothing to complain of

    Examples:
      | transport |
      | UDP       |
      | TCP       |

  Scenario: A pause is not recorded
    Given the tap records at north
    When 3 seconds pass
    And the tap pauses
    And 4 seconds pass
    And the tap goes on
    And 2 seconds pass
    Then the recorder north holds 5 seconds of each voice

  Scenario: Some packets are lost on the way
    Given a network that loses 20 % of the packets
    When the tap records at north
    And 5 seconds pass
    Then the tap is recorded
    When the tap stops
    And 40 seconds pass
    Then the recorder north has stopped

  Scenario: A recorder ends the recording
    Given the tap records at north
    When 2 seconds pass
    And the recorder north ends the recording
    And 1 second passes
    Then the tap is not recorded
    And the recorder north holds 2 seconds of each voice

  Scenario: A recorder that is slow misses the beginning
    Given the recorder north records after 3 seconds
    When the tap records at north
    And 5 seconds pass
    Then the recorder north holds 2 seconds of each voice

  Scenario Outline: A recorder that <reaction>
    Given the recorder north <reaction>
    When the tap records at north
    Then the tap is told <told>
    And the tap is <outcome>
    And the recorder north holds nothing

    Examples:
      | reaction                   | told                      | outcome      |
      | answers 503                | service unavailable (503) | not recorded |
      | answers 486                | busy (486)                | not recorded |
      | is dead                    | timeout (408)             | not recorded |
      | is not ready               | ok (200)                  | recorded     |
      | takes no stream            | ok (200)                  | not recorded |
      | leaves out the description | ok (200)                  | not recorded |
      | leaves out a stream        | ok (200)                  | not recorded |

  Scenario: A recorder that never answers
    Given the recorder north never answers
    When the tap records at north
    And 40 seconds pass
    And the tap stops
    And 1 second passes
    Then the tap is told request terminated (487)

  Scenario: A recorder without power
    Given the tap records at north
    When 2 seconds pass
    And the recorder north loses its power
    And the tap pauses
    And 40 seconds pass
    And the recorder north is on again
    Then the tap is told timeout (408)
    And the recorder north holds 2 seconds of each voice
