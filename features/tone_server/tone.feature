Feature: The tone server
  Who calls is answered by the PBX itself with a tone, and hung up when it is over.

  @SRV-01
  Scenario: A call from first to last
    Given the tone is answered after 1 second
    And the tone lasts 5 seconds
    And alice has registered
    When alice calls the tone
    And 10 seconds pass
    Then alice was answered after 1 second
    And alice's call lasted 5 seconds
    And BYE was sent 1 time

  @SRV-01 @real
  Scenario: The caller hangs up first
    Given alice has registered
    When alice calls the tone
    And 4 seconds pass
    And alice hangs up
    And 1 second passes
    Then the call record says that the caller hung up
    And nothing is left over

  @SRV-02 @SRV-06
  Scenario Outline: The tone is exact: <tone> in <codec>
    Given alice's telephone knows only <codec>
    And the tone is <tone>
    And the tone lasts 10 seconds
    And alice has registered
    When alice calls the tone
    And 15 seconds pass
    Then alice has heard <tone> for 10 seconds without a click

    Examples:
      | codec | tone    |
      | PCMU  | 440 Hz  |
      | PCMA  | 440 Hz  |
      | PCMU  | 1000 Hz |
      | PCMA  | 425 Hz  |

  @SRV-01
  Scenario: Numbers that nobody has
    Given unknown numbers are answered by the tone
    And alice has registered
    When alice calls "4711"
    And 3 seconds pass
    Then alice hears 440 Hz

  @SRV-04
  Scenario: Over the limit
    Given the PBX takes 1 call at a time
    And alice and bob have registered
    When alice calls the tone
    And 3 seconds pass
    And bob calls the tone
    And 3 seconds pass
    Then bob is told service unavailable (503)
    And alice hears 440 Hz

  @SRV-04
  Scenario: Below the limit again
    Given the PBX takes 1 call at a time
    And alice and bob have registered
    When alice calls the tone
    And 3 seconds pass
    And alice hangs up
    And 1 second passes
    And bob calls the tone
    And 3 seconds pass
    Then bob hears 440 Hz

  @SRV-05
  Scenario: No port left
    Given the PBX has ports for 2 legs
    And alice, bob and carol have registered
    When alice calls the tone
    And bob calls the tone
    And carol calls the tone
    And 3 seconds pass
    Then carol is told service unavailable (503)
    And alice hears 440 Hz
    And bob hears 440 Hz

  @SRV-06
  Scenario: No common codec
    Given alice's telephone knows only G729
    And alice has registered
    When alice calls the tone
    And 2 seconds pass
    Then alice is told not acceptable here (488)
    And nothing is left over

  @SRV-06 @real
  Scenario: The PBX prefers a codec
    Given the PBX prefers PCMA
    And alice has registered
    When alice calls the tone
    And 2 seconds pass
    Then alice's call is in PCMA

  @SRV-07
  Scenario: Keys are heard
    Given alice has registered
    When alice calls the tone
    And 3 seconds pass
    And alice presses "1 5 9 #"
    And 3 seconds pass
    Then the PBX has heard the keys "159#"

  @SRV-07
  Scenario: Keys told by INFO are heard
    Given alice has registered
    When alice calls the tone
    And 3 seconds pass
    And alice presses "42" by INFO
    And 1 second passes
    Then the PBX has heard the keys "42"

  @SRV-11 @real
  Scenario: Over TCP
    Given alice has a telephone that speaks TCP
    And alice has registered
    When alice calls the tone
    And 3 seconds pass
    Then alice hears 440 Hz

  @SRV-12
  Scenario: A shutdown ends the call with BYE
    Given alice has registered
    When alice calls the tone
    And 3 seconds pass
    And the PBX shuts down within 2 seconds
    And 5 seconds pass
    Then alice's call is over
    And the PBX has ended

  @real
  Scenario: The echo
    Given alice has registered
    When alice calls the echo
    And 3 seconds pass
    Then alice hears an echo

  @SRV-10
  Scenario: What is written down of the sound
    Given the tone lasts 10 seconds
    And alice has registered
    When alice calls the tone
    And 15 seconds pass
    Then the call record says 10 seconds
    And the call record says that the pbx hung up
    And the call record counts 500 packets each way

  @SRV-08 @SRV-09 @real
  Scenario: What an operator sees
    Given alice has registered
    When alice calls the tone
    And 3 seconds pass
    Then the page "/health" says "ok"
    And the page "/metrics" says "tandem_calls_active 1"
    And the page "/metrics" says "tandem_registrations 1"

  @SRV-08
  Scenario: What an operator sees afterwards
    Given alice has registered
    When alice calls the tone
    And 3 seconds pass
    And alice hangs up
    And 1 second passes
    Then the page "/metrics" says "tandem_calls_active 0"
    And the page "/metrics" says "tandem_calls_answered_total 1"
