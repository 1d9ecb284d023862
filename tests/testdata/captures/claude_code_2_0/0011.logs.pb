
‡
S

team.id

platform

service.name
claude-code

service.version
2.0.60¯
*
 com.anthropic.claude_code.events2.0.60Æ	@3‚Øµúê*
claude_code.user_prompt2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
user_prompt2-
event.timestamp
2026-11-24T12:24:20.389Z2
prompt_length
242
prompt

<REDACTED>Y@3‚ØµúêÐ	À,ºÛµúê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:20.443Z2$
model
claude-haiku-4-5-202510012
input_tokens
2122
output_tokens
722
cache_read_tokens
02
cache_creation_tokens
02
cost_usd

0.0005722
duration_ms
74YÀ,ºÛµúêã	@ÕÌÜµúê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:20.461Z2%
model
claude-sonnet-4-5-202509292
input_tokens
2132
output_tokens
732
cache_read_tokens
20002
cache_creation_tokens
3002#
cost_usd
0.00345900000000000032
duration_ms
81Y@ÕÌÜµúêÕ	À†Þµúê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:20.482Z2
model
claude-sonnet-4-52
input_tokens
2142
output_tokens
742
cache_read_tokens
02
cache_creation_tokens
02#
cost_usd
0.00175199999999999992
duration_ms
85YÀ†ÞµúêÖ	€Ë áµúê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:20.542Z2%
model
claude-sonnet-4-5-202509292
input_tokens
2152
output_tokens
752
cache_read_tokens
20002
cache_creation_tokens
3002
cost_usd

0.0034952
duration_ms
43Y€Ë áµúêõ	€ÔÝáµúê*
claude_code.tool_result2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
tool_result2-
event.timestamp
2026-11-24T12:24:20.546Z2
	tool_name
Task2
success
true2
duration_ms
592
tool_result_size_bytes
410Y€ÔÝáµúêÕ	€[qåµúê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$6592f891-28a1-478a-adc6-217c22cefcbe2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:20.606Z2
model
claude-sonnet-4-52
input_tokens
2162
output_tokens
762
cache_read_tokens
02
cache_creation_tokens
02#
cost_usd
0.00178799999999999992
duration_ms
40Y€[qåµúê