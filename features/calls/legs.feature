@CORE-09
Feature: What one leg says is told on the other
  Header lines that are meant for people or programs pass; what belongs to one leg stays there (docs/legs.md).

  Background:
    Given alice and bob have registered

  Scenario Outline: A caller says <line>, and the callee is told
    Given alice's telephone says "<line>" in its INVITE
    When alice calls bob
    And 1 second passes
    Then INVITE to bob says "<line>"

    Examples:
      | line                                       |
      | Subject: Lunch                             |
      | Priority: urgent                           |
      | Alert-Info: <http://sounds.example/ring>   |
      | Call-Info: <http://pbx.example/alice>;purpose=info |
      | User-to-User: 3031;encoding=hex            |
      | Organization: Bakery                       |
      | History-Info: <sip:office@pbx.example>;index=1 |
      | X-Customer: 4711                           |

  Scenario Outline: A caller says <line>, and the callee is not told
    Given alice's telephone says "<line>" in its INVITE
    When alice calls bob
    And 1 second passes
    Then bob's telephone rings
    And INVITE to bob does not say "<line>"

    Examples:
      | line                                                |
      | P-Asserted-Identity: <sip:boss@pbx.example>         |
      | Reply-To: <sip:secretary@pbx.example>               |
      | In-Reply-To: 70710@pbx.example                      |
      | P-Preferred-Identity: <sip:boss@pbx.example>        |

  Scenario: Whom a trunk asserts to call is told
    Given north has a telephone
    And the configuration also says
      """
      [[trunks]]
      name = "north"
      targets = [{ host = "10.0.0.4" }]
      accept_from = ["10.0.0.4"]
      """
    And north's telephone says "P-Asserted-Identity: <sip:+4930123@carrier.example>" in its INVITE
    When north calls bob
    And 1 second passes
    Then INVITE to bob says "P-Asserted-Identity: <sip:+4930123@carrier.example>"

  Scenario Outline: Who asks for privacy is not named: <privacy>
    Given alice's telephone says "Privacy: <privacy>" in its INVITE
    When alice calls bob
    And 1 second passes
    Then INVITE to bob says "sip:anonymous@anonymous.invalid"
    And INVITE to bob does not say "sip:alice@"

    Examples:
      | privacy |
      | id      |
      | user    |

  Scenario Outline: A callee says <line> with <status>, and the caller is told
    Given bob's telephone says "<line>" in its <status>
    When alice calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then SIP/2.0 to alice says "<line>"

    Examples:
      | status | line                                     |
      | 180    | Alert-Info: <http://sounds.example/ring> |
      | 180    | X-Desk: 3                                |
      | 200    | User-to-User: 3132;encoding=hex          |
      | 200    | Organization: Bakery                     |

  Scenario Outline: A callee says <line> with <status>, and the caller is not told
    Given bob's telephone says "<line>" in its <status>
    When alice calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice and bob hear each other
    And SIP/2.0 to alice does not say "<line>"

    Examples:
      | status | line                                         |
      | 180    | Server: a telephone of bob                   |
      | 200    | P-Asserted-Identity: <sip:boss@pbx.example>  |
      | 200    | Reply-To: <sip:secretary@pbx.example>        |

  Scenario Outline: A callee refuses and says <line>
    Given bob's telephone refuses with <status>
    And bob's telephone says "<line>" in its <code>
    When alice calls bob
    And 1 second passes
    Then SIP/2.0 to alice says "<line>"

    Examples:
      | status          | code | line                                      |
      | busy here (486) | 486  | Retry-After: 120                          |
      | decline (603)   | 603  | Reason: Q.850;cause=21;text=Later         |
      | busy here (486) | 486  | Error-Info: <http://sounds.example/busy>  |

  Scenario: What only one of two telephones says is told with its refusal
    Given mobile is another telephone of bob
    And mobile has registered
    And bob's telephone refuses with busy here (486)
    And bob's telephone says "Retry-After: 120" in its 486
    And mobile's telephone refuses with temporarily unavailable (480)
    And mobile's telephone says "Retry-After: 7" in its 480
    When alice calls bob
    And 1 second passes
    Then SIP/2.0 to alice says "Retry-After: 120"
    And SIP/2.0 to alice does not say "Retry-After: 7"

  Scenario: Why somebody hangs up is told to the other one
    Given bob's telephone says "Reason: Q.850;cause=16;text=Goodbye" in its BYE
    And alice talks to bob
    When bob hangs up
    And 1 second passes
    Then BYE to alice says "Reason: Q.850;cause=16;text=Goodbye"

  Scenario: Who has been answered elsewhere has missed no call
    Given alice's telephone says "Reason: SIP;cause=200;text=elsewhere" in its CANCEL
    When alice calls bob
    And 1 second passes
    And alice gives up
    And 1 second passes
    Then CANCEL to bob says "Reason: SIP;cause=200;text=elsewhere"

  Scenario: Who is not the first to answer has missed no call
    Given mobile is another telephone of bob
    And mobile has registered
    When alice calls bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then CANCEL to mobile says "Reason: SIP;cause=200"
