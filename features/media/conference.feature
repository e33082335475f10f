@CORE-10 @CORE-08
Feature: Conferences
  Who dials one hears all who are in it, each as it is meant for, and never itself.

  @net(jittery) @net(shuffling) @net(far)
  Scenario: Three people
    Given a conference at "8000"
    And alice, bob and carol have registered
    When alice calls "8000"
    And bob calls "8000"
    And carol calls "8000"
    And 2 seconds pass
    Then alice hears bob among others
    And alice hears carol among others
    And alice does not hear alice
    And carol hears alice among others
    And carol hears bob among others
    And carol does not hear carol

  Scenario: Two in a conference hear each other as in a call
    Given a conference at "8000"
    And alice's telephone knows only PCMA
    And bob's telephone knows only PCMU
    And alice and bob have registered
    When alice calls "8000"
    And bob calls "8000"
    And 2 seconds pass
    Then alice and bob hear each other

  Scenario: On a network that loses packets
    Given a conference at "8000"
    And a network that loses 5 % of the packets
    And alice, bob and carol have registered
    When alice calls "8000"
    And bob calls "8000"
    And carol calls "8000"
    And 5 seconds pass
    Then alice hears bob among others
    And alice hears carol among others
    And bob does not hear bob

  Scenario: What the network loses or brings late leaves no hole
    Given a conference at "8000"
    And alice and bob have registered
    And bob says nothing
    When alice calls "8000"
    And bob calls "8000"
    And 3 % of what alice sends is lost and the rest takes up to 30 ms longer
    And 10 seconds pass
    Then bob hears alice in one piece

  @net(lossy)
  Scenario: Who has left is not heard any longer
    Given a conference at "8000"
    And alice, bob and carol have registered
    When alice calls "8000"
    And bob calls "8000"
    And carol calls "8000"
    And 2 seconds pass
    And carol hangs up
    And 2 seconds pass
    Then alice does not hear carol
    And alice and bob hear each other

  @net(lossy)
  Scenario: A listener is heard by nobody and hears all
    Given a conference at "8000"
    And who dials "8001" comes into the conference and is heard by nobody
    And alice, bob and sam have registered
    When alice calls "8000"
    And bob calls "8000"
    And sam calls "8001"
    And 2 seconds pass
    Then sam hears alice among others
    And sam hears bob among others
    And alice and bob hear each other

  @net(lossy) @net(doubling)
  Scenario: A whisper is heard by one alone
    Given a conference at "8000"
    And who dials "8002" comes into the conference and is heard by bob alone
    And alice, bob and sam have registered
    When alice calls "8000"
    And bob calls "8000"
    And sam calls "8002"
    And 2 seconds pass
    Then bob hears sam among others
    And bob hears alice among others
    And alice does not hear sam
    And sam hears alice among others

  Scenario Outline: Who is to be heard <softly> is heard so
    Given a conference at "8000"
    And who dials "8003" comes into the conference <softly>
    And alice, bob and sam have registered
    When alice calls "8000"
    And bob calls "8000"
    And sam calls "8003"
    And 2 seconds pass
    Then alice hears sam <softly> than bob
    And bob hears sam <softly> than alice
    And sam hears alice as loud as bob

    Examples:
      | softly       |
      | 6 dB softer  |
      | 12 dB softer |
      | 6 dB louder  |

  Scenario: A whisper of half the strength
    Given a conference at "8000"
    And who dials "8004" comes into the conference 6 dB softer and is heard by bob alone
    And alice, bob and sam have registered
    When alice calls "8000"
    And sam calls "8004"
    And bob calls "8000"
    And 2 seconds pass
    Then bob hears sam 6 dB softer than alice
    And alice does not hear sam
    And sam hears alice as loud as bob
