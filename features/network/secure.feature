@CORE-01
Feature: SIP over TLS
  Nobody on the way reads what is said, and who connects knows whom it talks to (RFC 3261 section 26, RFC 5922).

  @real
  Scenario: A telephone that speaks TLS calls one that does not
    Given alice has a telephone that speaks TLS
    And bob's telephone answers at once
    And alice and bob have registered
    When alice calls bob
    And 1 second passes
    Then alice and bob hear each other
    When bob hangs up
    And 1 second passes
    Then alice's call is over

  Scenario: It is called over the connection that it has opened
    Given alice has a telephone that speaks TLS
    And alice's telephone answers at once
    And alice and bob have registered
    When bob calls alice
    And 1 second passes
    Then alice and bob hear each other
    And alice's telephone has opened 1 connection

  Scenario: Nobody on the way reads a word
    Given alice has a telephone that speaks TLS
    When alice registers
    And 1 second passes
    Then alice is registered
    And nothing readable was sent between alice and the PBX

  Scenario Outline: A call over TLS while <loss> % of the packets are lost
    Given a network that loses <loss> % of the packets
    And alice has a telephone that speaks TLS
    And alice talks to bob
    When the network loses 0 % of the packets
    And 1 second passes
    Then alice and bob hear each other

    Examples:
      | loss |
      | 10   |
      | 30   |

  Scenario: A connection is cut in the middle of a message
    Given alice has a telephone that speaks TLS
    And alice and bob have registered
    When alice's connection breaks after 200 more bytes
    And alice calls bob
    And 1 second passes
    Then alice's call is over
    When 10 seconds pass
    And alice calls bob
    And 1 second passes
    Then bob's telephone rings

  Scenario: Who has lost its connection cannot be called until it is back
    Given alice has a telephone that speaks TLS
    And alice and bob have registered
    When alice's connection is cut
    And 1 second passes
    And bob calls alice
    And 200 ms pass
    Then bob is told temporarily unavailable (480)
    When 10 seconds pass
    And bob calls alice
    And 1 second passes
    Then alice's telephone rings

  Scenario Outline: A telephone does not trust a certificate <of what>
    Given the PBX shows a certificate <of what>
    And alice has a telephone that speaks TLS
    When alice registers
    And 2 seconds pass
    Then alice is not registered
    And alice's telephone does not trust the PBX because "<why>"
    And the log says "no TLS was agreed on"

    Examples:
      | of what         | why                |
      | of another name | not valid for name |
      | of a stranger   | UnknownIssuer      |

  Scenario: A certificate expires, and a new one is taken without a restart
    Given the PBX shows a certificate that expires in an hour
    And alice has a telephone that speaks TLS
    And alice has registered
    When 2 hours pass
    And alice's connection is cut
    And 5 seconds pass
    Then alice is not registered
    And alice's telephone does not trust the PBX because "expired"
    When the PBX is given a certificate that is good
    And 1 minute passes
    Then alice is registered

  Scenario Outline: A certificate <of what> is not taken while the PBX runs
    Given alice has a telephone that speaks TLS
    And alice has registered
    When the PBX is given a certificate <of what>
    Then it is refused because "<why>"
    When alice's connection is cut
    And 5 seconds pass
    Then alice is registered

    Examples:
      | of what          | why                                               |
      | of another key   | the key in pbx.key is not that of the certificate |
      | that has expired | the certificate in pbx.pem holds from             |

  Scenario: A trunk over TLS
    Given north is a trunk over TLS for numbers that begin with 0
    And alice has registered
    When alice calls "0123"
    And 2 seconds pass
    Then alice and the trunk north hear each other
    When alice hangs up
    And 1 second passes
    Then the trunk north's call is over
    And the trunk north has nothing to complain of

  Scenario Outline: The PBX does not trust a trunk that shows a certificate <of what>
    Given north is a trunk over TLS for numbers that begin with 0, with a certificate <of what>
    And alice has registered
    When alice calls "0123"
    And 2 seconds pass
    Then the trunk north has had 0 calls
    And alice's call is over
    And the log says "<why>"

    Examples:
      | of what          | why                 |
      | of another name  | not valid for name  |
      | that has expired | certificate expired |
