@SIM-15
Feature: Machines beside the PBX
  What others run: a provider of menus, sinks for reports. Each speaks its protocol well and can be told not to.

  Scenario: A provider says what its table says
    Given an IVR provider that answers:
      | event         | action                                 |
      | session_start | prompt hello.wav, then dtmf_menu a.wav |
      | dtmf 1        | transfer 2001                          |
      | dtmf          | prompt what.wav                        |
    When the operator tells the provider "dtmf 7"
    Then the operator is told to "prompt what.wav"
    When the operator tells the provider "dtmf 1"
    Then the operator is told to "transfer 2001"

  Scenario: A provider follows a script
    Given an IVR provider that says, whatever happens:
      | action             |
      | prompt welcome.wav |
      | queue support      |
    When the operator tells the provider "session_start"
    And the operator tells the provider "audio_complete false"
    Then the operator is told to "queue support"
    When the operator tells the provider that the call is over
    Then the provider knows that the call is over
    And the provider has been told:
      | event                |
      | session_start        |
      | audio_complete false |

  Scenario: A provider takes no nonsense
    Given an IVR provider that answers:
      | event  | action        |
      | dtmf 1 | transfer 2001 |
    When the operator tells the provider "phone_collected"
    Then the operator is answered 400
    And the provider complains that "number is missing"

  Scenario Outline: A provider that <fault>
    Given an IVR provider that answers:
      | event         | action           |
      | session_start | prompt hello.wav |
    And the provider <fault>
    When the operator tells the provider "session_start"
    Then the operator is answered <status>

    Examples:
      | fault                     | status |
      | answers 503               | 503    |
      | speaks no JSON            | 200    |
      | answers after 2 seconds   | 200    |
      | is slow                   | 200    |
      | says 3 MB                 | 200    |
      | redirects to http://x.org | 302    |

  Scenario Outline: A provider that <fault>, so that nobody has an answer
    Given the provider <fault>
    When the operator tells the provider "session_start"
    Then the operator is not answered
    And the provider was asked 1 time

    Examples:
      | fault         |
      | never answers |
      | hangs up      |
      | breaks off    |

  Scenario: A provider recovers
    Given an IVR provider that answers:
      | event         | action           |
      | session_start | prompt hello.wav |
    And the provider answers 503 twice
    When the operator tells the provider "session_start"
    And the operator tells the provider "session_start"
    Then the operator is answered 503
    When the operator tells the provider "session_start"
    Then the operator is told to "prompt hello.wav"

  Scenario Outline: A sink has everything while <loss> % of the packets are lost
    Given a network that loses <loss> % of the packets
    When the operator posts 20 reports to the sink
    Then the sink holds 20 reports, in order

    Examples:
      | loss |
      | 0    |
      | 20   |

  Scenario: A sink without power takes nothing
    When the operator posts 2 reports to the sink
    And the sink loses its power
    And the operator posts 1 report to the sink
    Then the operator is not answered
    When the sink is on again
    And the operator posts 3 reports to the sink
    Then the sink holds 5 reports, in order
