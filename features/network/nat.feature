@SIM-05 @CORE-01 @CORE-06
Feature: Telephones behind routers
  A router translates addresses and ports (RFC 4787); the PBX answers where a message came from (RFC 3581)
  and sends sound where sound comes from.

  Scenario: A telephone is told where it is seen
    Given alice has a telephone behind a router
    When alice registers
    And 1 second passes
    Then alice is registered
    And the PBX has told alice where the router is

  @CORE-10
  Scenario Outline: It is called: mapping by <mapping>, filtering by <filtering>
    Given alice has a telephone behind a router
    And alice's router maps by <mapping> and filters by <filtering>
    And bob talks to alice
    Then alice and bob hear each other
    And nothing is left over

    Examples:
      | mapping          | filtering        |
      | nothing          | nothing          |
      | nothing          | address          |
      | nothing          | address and port |
      | address          | nothing          |
      | address          | address          |
      | address          | address and port |
      | address and port | nothing          |
      | address and port | address          |
      | address and port | address and port |

  @CORE-10
  Scenario: Both are behind routers of their own
    Given alice has a telephone behind a router
    And bob has a telephone behind a router
    And alice's router maps by address and port and filters by address and port
    And bob's router maps by address and port and filters by address and port
    And alice talks to bob
    Then alice and bob hear each other

  @CORE-10
  Scenario: Both are behind the same router
    Given alice has a telephone behind a router
    And bob has a telephone behind the router of alice
    And alice talks to bob
    Then alice and bob hear each other

  @CORE-10
  Scenario: Over TCP
    Given alice has a telephone that speaks TCP behind a router
    And bob talks to alice
    Then alice and bob hear each other

  Scenario: A router that has forgotten a telephone
    Given alice has a telephone behind a router
    And alice's router forgets after 30 seconds
    And alice and bob have registered
    When 1 minute passes
    And bob calls alice
    And 2 seconds pass
    Then alice's telephone does not ring

  Scenario: A telephone that keeps its router from forgetting
    Given alice has a telephone behind a router
    And alice's router forgets after 30 seconds
    And alice's telephone is heard of every 20 seconds
    And alice and bob have registered
    When 10 minutes pass
    And bob calls alice
    And 2 seconds pass
    Then alice's telephone rings

  Scenario: A router that restarts
    Given alice has a telephone behind a router
    And alice and bob have registered
    When alice's router restarts
    And alice registers
    And 1 second passes
    And bob calls alice
    And 2 seconds pass
    Then alice's telephone rings

  @CORE-10
  Scenario: A router that restarts in a call
    Given alice has a telephone behind a router
    And alice talks to bob
    When alice's router restarts
    And 5 seconds pass
    Then alice and bob hear each other
