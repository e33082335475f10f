@CORE-10
Feature: Strangers at the ports of a call
  RTP is taken from where the description of the telephone says, or from the NAT in front of it. Whoever else sends to a port of a
  call is not heard, and is sent nothing (RFC 7362).

  Background:
    Given the calls of bob are recorded
    And mallory has a telephone

  @net(lossy) @net(jittery)
  Scenario: Who has found the port of a call is not heard
    Given alice talks to bob
    When mallory says 1700 Hz for 5 seconds to where the PBX hears alice
    And 4 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other
    And the PBX has sent nothing to mallory
    When alice hangs up
    And 2 seconds pass
    Then 1700 Hz is on no channel of the recording

  @net(lossy)
  Scenario: Not even with the numbers of the stream
    Given alice talks to bob
    When mallory says 1700 Hz for 5 seconds to where the PBX hears alice, in the numbers of that stream
    And 4 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other
    And the PBX has sent nothing to mallory

  Scenario: Who has not said anything yet leaves no room for strangers
    Given alice's microphone is off
    And alice talks to bob
    When mallory says 1700 Hz for 5 seconds to where the PBX hears alice
    And 4 seconds pass
    Then bob's telephone is silent
    And alice hears bob
    And the PBX has sent nothing to mallory

  @CORE-01
  Scenario: Behind a router
    Given alice has a telephone behind a router
    And alice talks to bob
    When mallory says 1700 Hz for 5 seconds to where the PBX hears alice
    And 4 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other
    And the PBX has sent nothing to mallory

  @CORE-01
  Scenario: A router that has forgotten is followed, and a stranger is not
    Given alice has a telephone behind a router
    And alice talks to bob
    When mallory says 1700 Hz for 20 seconds to where the PBX hears alice
    And 1 second passes
    And alice's router restarts
    And 10 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other
    And the PBX has sent nothing to mallory

  Scenario: In a conference
    Given a conference at "8000"
    And alice and bob have registered
    When alice calls "8000"
    And bob calls "8000"
    And mallory says 1700 Hz for 5 seconds to where the PBX hears alice
    And 4 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other

  Scenario: Where calls are encrypted
    Given calls of alice have to be encrypted
    And alice's telephone encrypts its calls
    And alice talks to bob
    When mallory says 1700 Hz for 5 seconds to where the PBX hears alice, in the numbers of that stream
    And 4 seconds pass
    Then bob does not hear 1700 Hz
    And alice and bob hear each other
    And alice's call is encrypted
