Feature: What is heard in a recording
  Keys, tones and rhythms with the time at which they begin and end; and why something counts as no key.

  @DET-01
  Scenario: All keys, for as short a time as they may take
    Given a recording of
      """
      [[channel]]
      tones = [{ at_ms = 100, digits = "0123456789*#ABCD", for_ms = 40, pause_ms = 40 }]
      """
    Then channel 1 holds the digits "0123456789*#ABCD"

  @DET-01
  Scenario: A key through noise and far from its frequency
    Given a recording of
      """
      [[channel]]
      noise_dbm0 = -20
      tones = [{ at_ms = 100, digits = "147*", off_percent = 1.5, twist_db = -8, level_dbm0 = -8 }]
      """
    Then channel 1 holds the digits "147*"

  @DET-01
  Scenario: A key over a dial tone
    Given a recording of
      """
      [[channel]]
      tones = [
        { at_ms = 0, frequencies = [350, 440], for_ms = 2000, level_dbm0 = -10 },
        { at_ms = 800, digits = "9", level_dbm0 = -16 },
      ]
      """
    Then channel 1 holds the digits "9"

  @DET-01
  Scenario: A tone and its place
    Given a recording of
      """
      length_ms = 3000
      [[channel]]
      tones = [{ at_ms = 1000, frequencies = [1004], for_ms = 500 }]
      [[channel]]
      """
    Then channel 1 holds 1004 Hz from 1 second to 1.5 seconds
    And channel 2 is silent throughout

  @DET-01
  Scenario Outline: What an exchange says: <tone>
    Given a recording of
      """
      length_ms = 14000
      [[channel]]
      tones = [{ at_ms = 500, cadence = "<tone>", for_ms = 12000 }]
      """
    Then channel 1 holds "<tone>" <times> times

    Examples:
      | tone          | times |
      | us busy       | 12    |
      | us reorder    | 24    |
      | us ringback   | 2     |
      | uk busy       | 16    |
      | uk ringback   | 4     |
      | de busy       | 13    |
      | de ringback   | 3     |
      | fr ringback   | 3     |
      | jp ringback   | 4     |
      | cn busy       | 17    |
      | in congestion | 24    |
      | itu sit       | 6     |

  @DET-04
  Scenario Outline: What is no key is told with its reason: <reason>
    Given a recording of
      """
      [[channel]]
      tones = [{ at_ms = 200, digits = "5", <how> }]
      """
    Then digit 5 does not count, because it is "<reason>"

    Examples:
      | how                               | reason        |
      | for_ms = 20                       | too short     |
      | level_dbm0 = -6, twist_db = -18   | twisted       |
      | off_percent = 3.5                 | off frequency |
      | level_dbm0 = -53                  | too weak      |

  @DET-04
  Scenario: More than two sines are speech
    Given a recording of
      """
      [[channel]]
      tones = [{ at_ms = 200, digits = "5" }, { at_ms = 200, frequencies = [1000], for_ms = 80 }]
      """
    Then digit 5 does not count, because it is "speech"
