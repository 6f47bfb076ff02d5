Feature: Health
  The health checks of the guide tell the truth: each line stands on a probe, each exit code on the lines.

  @smoke
  Scenario: The tracker says that it is healthy (guide 4.1)
    When I run "session-buddy health"
    Then it succeeds
    And the output has the line "✓ Session-Buddy MCP server: healthy"
    And the output has the line "✓ Database: connected"
    And the output has the line "✓ Session tracking: enabled"
    And the output says how semantic search is

  @smoke
  Scenario: The mahavishnu server says that it is healthy (guide 4.1)
    When I run "mahavishnu mcp health"
    Then it succeeds
    And the output has the line "✓ Mahavishnu MCP server: healthy"
    And the output has the line "✓ Authentication: enabled"
    And the output has the line "✓ Session tracking: enabled"
    And the output has a line that begins with "✓ Adapters: local (active), fabric ("

  @smoke
  Scenario: Mahavishnu reaches the tracker (guide 4.1)
    When I run "mahavishnu test-session-tracking"
    Then it succeeds
    And the output has the line "✓ Session-Buddy MCP: connected"
    And the output has the line "✓ Session tracking: operational"
    And the output has the line "✓ Event capture: working"

  Scenario: The tracker answers without a token on /health only (guide 3 step 3.3)
    When I ask the tracker for "/health"
    Then the answer is 200 and says "status" is "healthy"
    And the answer says "version" is the version of "session-buddy --version"
    When I ask the tracker for "/api/v1/sessions"
    Then the answer is 401

  Scenario: The tracker exports the guide's metrics (guide 5)
    When I ask the tracker for "/metrics"
    Then the answer is 200
    And the metrics have these types
      | name                                | type      |
      | mahavishnu_sessions_total           | counter   |
      | mahavishnu_sessions_active          | gauge     |
      | mahavishnu_sessions_failed_total    | counter   |
      | mahavishnu_session_duration_seconds | histogram |
