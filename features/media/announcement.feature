@CORE-10 @CORE-08
Feature: Announcements
  What is in a file is played to whoever dials its number, who is then hung up or rung on to somebody.

  Scenario: An announcement is heard from its first sample to its last
    Given an announcement of 600 Hz for 1 second at "9100"
    And alice has registered
    When alice calls "9100"
    And 3 seconds pass
    Then alice has heard 600 Hz for 1 second without a click
    And alice has received 50 packets of sound
    And alice's call is over

  Scenario Outline: A file of <rate> samples a second in <kind>
    Given an announcement of 1000 Hz for 2 seconds at "9100", of <rate> samples a second in <kind>
    And alice's telephone knows only <codec>
    And alice has registered
    When alice calls "9100"
    And 4 seconds pass
    Then alice has heard 1000 Hz for 2 seconds without a click
    And alice has received 100 packets of sound

    Examples:
      | rate  | kind | codec |
      | 8000  | PCM  | PCMA  |
      | 16000 | PCM  | PCMU  |
      | 44100 | PCM  | PCMA  |
      | 48000 | PCM  | PCMU  |
      | 8000  | PCMA | PCMU  |
      | 8000  | PCMU | PCMU  |

  Scenario: An announcement that is repeated has no gap
    Given an announcement of 500 Hz for 2 seconds at "9100", played 3 times
    And alice has registered
    When alice calls "9100"
    And 8 seconds pass
    Then alice has heard 500 Hz for 6 seconds without a click
    And alice has received 300 packets of sound

  Scenario: An announcement on a network that loses packets
    Given an announcement of 600 Hz for 10 seconds at "9100"
    And a network that loses 5 % of the packets
    And alice has registered
    When alice calls "9100"
    And 8 seconds pass
    Then alice hears 600 Hz

  @net(shuffling)
  Scenario: An announcement in a wide band
    Given an announcement of 600 Hz for 2 seconds at "9100", of 16000 samples a second in PCM
    And the PBX turns PCMU, PCMA and G722 into each other
    And alice's telephone knows only G722
    And alice has registered
    When alice calls "9100"
    And 1 second passes
    Then alice hears 600 Hz

  Scenario: All of an announcement in a wide band
    Given an announcement of 600 Hz for 2 seconds at "9100", of 16000 samples a second in PCM
    And the PBX turns PCMU, PCMA and G722 into each other
    And alice's telephone knows only G722
    And alice has registered
    When alice calls "9100"
    And 4 seconds pass
    Then alice has received 100 packets of sound

  @net(jittery)
  Scenario: First the announcement, then somebody
    Given an announcement of 600 Hz for 2 seconds at "9101", then bob
    And alice and bob have registered
    When alice calls "9101"
    And 1 second passes
    Then alice hears 600 Hz
    And alice's call is not answered yet
    When 1500 ms pass
    Then bob's telephone rings
    And alice hears 425 Hz
    When bob answers
    And 1 second passes
    Then alice and bob hear each other

  @net(lossy) @net(far)
  Scenario: A key ends the announcement
    Given an announcement of 600 Hz for 20 seconds at "9101", then bob, until a key is pressed
    And alice and bob have registered
    And bob's telephone answers at once
    When alice calls "9101"
    And 2 seconds pass
    And alice presses "1"
    And 2 seconds pass
    Then alice and bob hear each other

  Scenario Outline: A file that <fault>
    Given an announcement at "9100" whose file <fault>
    And alice and bob have registered
    When alice calls "9100"
    And 2 seconds pass
    Then alice is told service unavailable (503)
    And the PBX says that it cannot play the file: "<reason>"

    Examples:
      | fault         | reason                       |
      | is missing    | there is no such file        |
      | is cut off    | the file is cut off          |
      | is a text     | this is no WAV file          |
      | is in a codec that nobody here knows | format 2 |
      | is 33 MB long | more than 33554432           |

  Scenario: The call goes on without its announcement
    Given an announcement at "9101" whose file is missing, then bob
    And alice and bob have registered
    And bob's telephone answers at once
    When alice calls "9101"
    And 2 seconds pass
    Then alice and bob hear each other
    And the PBX says that it cannot play the file: "there is no such file"
