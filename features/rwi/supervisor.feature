Feature: A supervisor takes part in a talk
  Who hears whom is proved by what is heard: each telephone says a tone of its own.

  Background:
    Given an application that controls the PBX
    And alice, bob and carol have registered
    And the application lets alice as customer talk to bob as agent
    And the application calls carol as supervisor, who answers

  @RWI-09 @RWI-29 @net(lossy)
  Scenario: A supervisor listens
    When the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then the command has succeeded
    And the application is told "supervisor.listen.started supervisor target_call_id=agent"
    And carol hears alice among others
    And carol hears bob among others
    And alice hears bob
    And bob hears alice

  @RWI-09 @RWI-29 @net(lossy)
  Scenario: A supervisor whispers
    When the application commands "supervisor.whisper supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then carol hears alice among others
    And carol hears bob among others
    And bob hears alice among others
    And bob hears carol among others
    And alice hears bob

  @RWI-09 @RWI-29 @net(lossy)
  Scenario: A supervisor joins in
    When the application commands "supervisor.barge supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then alice hears bob among others
    And alice hears carol among others
    And bob hears alice among others
    And bob hears carol among others

  @RWI-09 @RWI-29 @real @net(lossy)
  Scenario: From one part to the next without being called again, and out
    When the application commands "supervisor.barge supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    And the application commands "supervisor.whisper supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then alice hears bob
    When the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then bob hears alice
    When the application commands "supervisor.stop supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then the application is told "supervisor.mode.stopped supervisor target_call_id=agent"
    And alice and bob hear each other
    And carol's telephone is silent
    And carol's call is still up

  @RWI-29 @net(lossy)
  Scenario: A supervisor takes over
    When the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    And the application commands "supervisor.takeover supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    Then alice and carol hear each other
    And bob's telephone is silent
    And the application is told "supervisor.takeover.started supervisor target_call_id=agent"

  @RWI-29 @net(lossy)
  Scenario: The talk is over while a supervisor listens
    When the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    And 1 second passes
    And alice hangs up
    And 1 second passes
    Then the application is told "supervisor.mode.stopped supervisor target_call_id=agent"
    And the application is told "call.unbridged agent leg_b=customer"
    And bob's telephone is silent
    And carol's telephone is silent

  @RWI-29 @net(lossy)
  Scenario: Nobody supervises who talks to nobody
    Given the application commands "call.unbridge call_id=agent"
    When the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    Then the command has failed as invalid_state

  @RWI-32 @net(lossy)
  Scenario: A conference by command
    Given the application commands "call.unbridge call_id=agent"
    When the application commands "conference.create conf_id=friday"
    And the application commands "conference.add conf_id=friday call_id=customer"
    And the application commands "conference.add conf_id=friday call_id=agent"
    And the application commands "conference.add conf_id=friday call_id=supervisor"
    And 1 second passes
    Then the command has succeeded
    And alice hears bob among others
    And alice hears carol among others
    And carol hears alice among others
    When the application commands "conference.mute conf_id=friday call_id=agent"
    And 1 second passes
    Then alice hears carol
    And bob hears alice among others
    When the application commands "conference.unmute conf_id=friday call_id=agent"
    And the application commands "conference.remove conf_id=friday call_id=supervisor"
    And 1 second passes
    Then alice and bob hear each other
    And carol's telephone is silent
    When the application commands "conference.destroy conf_id=friday"
    And 1 second passes
    Then alice's telephone is silent
    And the application has been told, in order:
      | event                                             |
      | conference.created conf_id=friday                 |
      | conference.member.joined customer conf_id=friday  |
      | conference.member.muted agent conf_id=friday      |
      | conference.member.unmuted agent conf_id=friday    |
      | conference.member.left supervisor conf_id=friday  |
      | conference.destroyed conf_id=friday               |

  @RWI-32 @net(lossy)
  Scenario: A conference that is full, and one that is not there
    Given the application commands "call.unbridge call_id=agent"
    And the application commands "conference.create conf_id=friday max_members=1"
    And the application commands "conference.add conf_id=friday call_id=customer"
    When the application commands "conference.add conf_id=friday call_id=agent"
    Then the command has failed as rate_limited
    When the application commands "conference.add conf_id=monday call_id=agent"
    Then the command has failed as invalid_params

  @RWI-32 @net(lossy)
  Scenario: Who hangs up has left the conference before
    Given the application commands "conference.create conf_id=friday"
    And the application commands "conference.add conf_id=friday call_id=supervisor"
    When carol hangs up
    And 1 second passes
    Then the application has been told, in order:
      | event                                            |
      | conference.member.left supervisor conf_id=friday |
      | call.hangup supervisor                           |

  @RWI-29 @net(lossy)
  Scenario: Nobody supervises the one who talks to him
    When the application commands "supervisor.listen supervisor_call_id=customer target_call_id=agent"
    Then the command has failed as invalid_state
    When the application commands "supervisor.takeover supervisor_call_id=customer target_call_id=agent"
    Then the command has failed as invalid_state
    When 1 second passes
    Then alice and bob hear each other

  @RWI-09 @RWI-29 @net(lossy)
  Scenario: Of two supervisors one hangs up, and the other goes on
    Given dave has registered
    And the application calls dave as trainee, who answers
    And the application commands "supervisor.listen supervisor_call_id=supervisor target_call_id=agent"
    And the application commands "supervisor.listen supervisor_call_id=trainee target_call_id=agent"
    When carol hangs up
    And 1 second passes
    Then the application has been told, in order:
      | event                                                    |
      | supervisor.mode.stopped supervisor target_call_id=agent  |
      | call.hangup supervisor                                   |
    And the application has not been told "supervisor.mode.stopped trainee"
    And dave hears alice among others
    And dave hears bob among others
