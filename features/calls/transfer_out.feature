@CORE-04 @CORE-08
Feature: Transfers and the outside
  A target is called at the expense of whoever transfers: from outside nobody is sent outside.

  Background:
    Given a trunk for numbers that begin with 0, to north, then to south
    And north's telephone answers at once
    And alice, bob and carol have registered

  Scenario: Out over a trunk
    Given alice talks to bob
    When alice transfers the call to "0123"
    And 2 seconds pass
    Then bob and north hear each other
    And alice's call is over

  Scenario: Somebody outside sends the caller to somebody inside
    When alice calls "0123"
    And 2 seconds pass
    And north transfers the call to bob
    And 1 second passes
    And bob answers
    And 1 second passes
    Then alice and bob hear each other

  Scenario: Somebody outside sends nobody outside
    When alice calls "0123"
    And 2 seconds pass
    And north transfers the call to "0456"
    And 1 second passes
    Then north may not transfer: forbidden (403)
    And alice and north hear each other

  Scenario: Somebody outside whom it is allowed sends the caller outside
    Given whoever calls over the trunk may send callers outside
    And the configuration also says
      """
      [[trunks]]
      name = "abroad"
      targets = [{ host = "10.0.0.3" }]

      [[routes]]
      name = "abroad"
      to_user = "7*"
      app = "trunk"
      app_params = { trunks = ["abroad"] }
      """
    And south's telephone answers at once
    When alice calls "0123"
    And 2 seconds pass
    And north transfers the call to "789"
    And 2 seconds pass
    Then alice and south hear each other
    And north's call is over

  Scenario: A call with an application cannot be transferred
    When alice calls the echo
    And 2 seconds pass
    And alice transfers the call to carol
    And 1 second passes
    Then alice may not transfer: decline (603)
    And alice hears an echo
