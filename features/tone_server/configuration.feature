@CORE-12
Feature: The configuration
  One file; what is wrong in it is refused with its place and its mend, what is right holds.

  @SRV-03
  Scenario: Three sections make a tone server
    Given the configuration is
      """
      [sip]
      bind_address = "10.0.0.1"
      port = 5060
      domain = "pbx.example"
      transport = "udp"

      [behavior]
      auto_answer = true
      auto_answer_delay_ms = 500
      tone_duration_seconds = 3
      tone_frequency = 1000.0
      max_concurrent_calls = 10

      [media]
      rtp_port_range_start = 10000
      rtp_port_range_end = 10019
      preferred_codecs = ["PCMA"]
      enable_dtmf = true
      audio_sample_rate = 8000
      """
    And alice has a telephone
    When alice calls "anything"
    And 2 seconds pass
    Then alice hears 1000 Hz
    And alice's call is in PCMA
    When 3 seconds pass
    Then alice's call lasted 3 seconds

  @SRV-03
  Scenario: Telephones over TCP are not heard where nobody listens for TCP
    Given the configuration is
      """
      [sip]
      bind_address = "10.0.0.1"
      transport = "udp"
      """
    And alice has a telephone that speaks TCP
    When alice calls "anything"
    And 40 seconds pass
    Then alice's call is over

  Scenario: A misspelt key
    When the operator checks the configuration
      """
      [sip]
      listn = ["udp:10.0.0.1:5060"]
      """
    Then the configuration is refused
      """
      office.toml:2:1: unknown field `listn`, expected one of `bind_address`, `port`, `transport`, `listen`, `domain`, `external_address`, `user_agent`, `t1_ms`, `session_expires_seconds`, `min_se_seconds`
        2 | listn = ["udp:10.0.0.1:5060"]
          | ^^^^^
      hint: did you mean `listen`?
      """

  Scenario: A number out of its range
    When the operator checks the configuration
      """
      [behavior]
      tone_frequency = 5000.0
      """
    Then the configuration is refused
      """
      office.toml:2:18: expected a frequency from 1 to below 4000 Hz
        2 | tone_frequency = 5000.0
          |                  ^^^^^^
      """

  Scenario: A route to nowhere
    When the operator checks the configuration
      """
      [[routes]]
      name = "out"
      to_user = "0*"
      app = "trunk"
      app_params = { trunks = ["carrier"] }
      """
    Then the configuration is refused
      """
      office.toml:5:26: there is no trunk `carrier`
        5 | app_params = { trunks = ["carrier"] }
          |                          ^^^^^^^^^
      """

  Scenario: A good one
    When the operator checks the configuration
      """
      [sip]
      listen = ["udp:192.0.2.10:5060"]

      [[extensions]]
      number = "100"
      password = "q7Tn-4wRz-88Lm"
      """
    Then the configuration is accepted

  Scenario: Somebody new while people talk
    Given alice talks to bob
    When carol has a telephone
    And carol registers
    And 1 second passes
    Then carol is registered
    And alice and bob hear each other
