@DET-03
Feature: What a recording should hold
  CI holds a recording against a schedule of tones; what is wrong in it is said in a sentence.

  Background:
    Given the schedule
      """
      length_ms = 4000

      [[channel]]
      name = "alice"
      tones = [
        { at_ms = 500, digits = "159#" },
        { at_ms = 2000, frequencies = [1000], for_ms = 500, level_dbm0 = -13 },
      ]

      [[channel]]
      name = "bob"
      tones = [{ at_ms = 800, digits = "42" }, { at_ms = 1500, cadence = "us busy", for_ms = 2000 }]
      """

  Scenario: All is well
    Given a recording of the schedule
    Then the recording is as expected

  Scenario: A digit is missing
    Given a recording of the schedule
    When channel 1 is silent from 660 ms for 80 ms
    Then the recording is not as expected
      """
      channel 1 (alice): digit 5 expected at 0.660 s, nothing heard
      """

  Scenario: A digit too many
    Given a recording of the schedule
    When digit 7 is pressed on channel 2 at 3.6 seconds
    Then the recording is not as expected
      """
      channel 2 (bob): digit 7 heard at 3.600 s, where none was expected
      """

  Scenario: Another digit
    Given a recording of the schedule
    When channel 1 is silent from 660 ms for 80 ms
    And digit 6 is pressed on channel 1 at 660 ms
    Then the recording is not as expected
      """
      channel 1 (alice): digit 5 expected at 0.660 s, digit 6 heard
      """

  Scenario: Digits that come late
    Given a recording of the schedule
    When channel 2 comes 100 ms late
    Then the recording is not as expected
      """
      channel 2 (bob): digit 4 expected at 0.800 s, heard at 0.900 s: 100 ms late
      channel 2 (bob): digit 2 expected at 0.960 s, heard at 1.060 s: 100 ms late
      channel 2 (bob): us busy expected at 1.500 s, heard at 1.600 s: 100 ms late
      """

  Scenario: A tone whose beginning is cut off
    Given a recording of the schedule
    When channel 1 is silent from 2 seconds for 60 ms
    Then the recording is not as expected
      """
      channel 1 (alice): a tone of 1000 Hz expected at 2.000 s begins at 2.060 s: its first 60 ms are cut off
      """

  Scenario: Wrong frequencies, a wrong level, another rhythm
    Given a recording of
      """
      [[channel]]
      tones = [
        { at_ms = 500, digits = "1", off_percent = 4 },
        { at_ms = 660, digits = "59#" },
        { at_ms = 2000, frequencies = [1000], for_ms = 500, level_dbm0 = -20 },
      ]

      [[channel]]
      tones = [{ at_ms = 800, digits = "42" }, { at_ms = 1500, cadence = "us reorder", for_ms = 2000 }]
      """
    Then the recording is not as expected
      """
      channel 1 (alice): digit 1 expected at 0.500 s, its frequency is wrong: 724.3 + 1256.8 Hz heard, 4.0 % too high
      channel 1 (alice): a tone of 1000 Hz at 2.000 s is 7.0 dB too faint: -20.0 dBm0 and not -13.0
      channel 2 (bob): us busy expected at 1.500 s, us reorder heard
      """

  Scenario: Sound that is clipped
    Given a recording of the schedule
    When channel 2 is clipped at 60 % of its peak
    Then it is said of digit 4: "is clipped: its tops are cut off"

  Scenario: A channel that is silent
    Given a recording of the schedule
    When channel 2 falls silent
    Then the recording is not as expected
      """
      channel 2 (bob) is silent: 3 tones were expected, the first at 0.800 s
      """

  Scenario: Channels that are swapped
    Given a recording of the schedule
    When channels 1 and 2 are swapped
    Then the recording is not as expected
      """
      channel 1 (alice) holds what was expected on channel 2, and channel 2 what was expected here: they are swapped
      """

  @DET-02
  Scenario Outline: Neither a coding nor a rate is a difference: <encoding>, <rate> Hz
    Given a recording of the schedule in <encoding> with <rate> samples a second
    Then the recording is as expected

    Examples:
      | encoding | rate  |
      | pcm16    | 8000  |
      | pcm16    | 48000 |
      | pcm24    | 16000 |
      | float    | 48000 |
      | alaw     | 8000  |
      | ulaw     | 16000 |

  @DET-02
  Scenario: A file that breaks off
    Given a recording of the schedule
    When the file breaks off after 5000 bytes
    Then the file is refused: "byte 5000: the file is cut off: 123044 bytes are missing"
