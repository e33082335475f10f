@CORE-10
Feature: Pauses that are left out
  A telephone may send nothing while nobody speaks, and say once how much noise there is meanwhile (RFC 3389). The others hear
  that noise, a recording has the pause in it as long as it was, and nobody takes the silent one for gone.

  @net(lossy)
  Scenario: The other side hears the noise of a pause
    Given alice's telephone leaves out pauses, with noise of -40 dB in them
    And bob's telephone knows the noise of pauses
    And alice talks to bob
    When alice says nothing
    And 3 seconds pass
    Then bob hears noise of -40 dB
    When alice says, one after the other
      | for       | tone   |
      | 9 seconds | 600 Hz |
    And 2 seconds pass
    Then bob hears 600 Hz

  @net(lossy)
  Scenario: Who knows no such noise hears silence
    Given alice's telephone leaves out pauses, with noise of -40 dB in them
    And alice talks to bob
    When alice says nothing
    And 3 seconds pass
    Then bob's telephone is silent
    When alice says, one after the other
      | for       | tone   |
      | 9 seconds | 600 Hz |
    And 2 seconds pass
    Then bob hears 600 Hz

  Scenario: A recording has the noise where the pause was
    Given the calls of alice are recorded
    And alice's telephone leaves out pauses, with noise of -40 dB in them
    And alice talks to bob
    When alice says nothing
    And 3 seconds pass
    And alice says, one after the other
      | for       | tone   |
      | 9 seconds | 900 Hz |
    And 3 seconds pass
    And alice hangs up
    And 1 second passes
    Then on channel 1 of the recording is noise of -40 dB from 1 second to 3 seconds
    And 900 Hz is on channel 1 of the recording from 4 seconds to 6 seconds

  Scenario: Where nothing is told of it a recording is silent for as long
    Given the calls of alice are recorded
    And alice's telephone leaves out pauses
    And alice talks to bob
    When alice says nothing
    And 3 seconds pass
    And alice says, one after the other
      | for       | tone   |
      | 9 seconds | 900 Hz |
    And 3 seconds pass
    And alice hangs up
    And 1 second passes
    Then on channel 1 of the recording is nothing from 1 second to 3 seconds
    And 900 Hz is on channel 1 of the recording from 4 seconds to 6 seconds

  @net(lossy)
  Scenario: In a conference the noise is heard among the voices
    Given a conference at "8000"
    And alice's telephone leaves out pauses, with noise of -40 dB in them
    And alice and bob have registered
    When alice calls "8000"
    And bob calls "8000"
    And alice says nothing
    And 4 seconds pass
    Then bob hears noise of -40 dB

  Scenario: From one codec into another the noise goes as it is
    Given alice's telephone knows only PCMA
    And alice's telephone leaves out pauses, with noise of -50 dB in them
    And bob's telephone knows only PCMU
    And bob's telephone knows the noise of pauses
    And alice talks to bob
    When alice says nothing
    And 3 seconds pass
    Then bob hears noise of -50 dB

  Scenario: Who only tells of noise is not gone
    Given the PBX waits 10 seconds for RTP
    And alice's telephone leaves out pauses, with noise of -40 dB in them
    And alice talks to bob
    When alice says nothing
    And 60 seconds pass
    Then alice's call is still up
    And alice hears bob
