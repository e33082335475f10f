Feature: An application has many calls in hand at once

  Background:
    Given an application that controls the PBX

  @RWI-09
  Scenario: Fifty talks are supervised
    Given 50 talks that the application has ordered, each with a supervisor who listens
    When 1 second passes
    Then each of the 50 supervisors hears its own talk, and nobody hears a supervisor

  @RWI-32
  Scenario: A conference of a hundred
    Given a conference of 100 that the application has ordered, of whom two speak
    When 1 second passes
    Then each of the 100 hears both who speak, and who speaks hears the other one alone
