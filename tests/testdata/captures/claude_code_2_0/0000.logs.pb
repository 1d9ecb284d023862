
Ë
S

team.id

platform

service.name
claude-code

service.version
2.0.60ó
*
 com.anthropic.claude_code.events2.0.60Å	€d´´úê*
claude_code.user_prompt2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$1d18b7aa-4d62-4722-a672-5ec81266f9cf2
terminal.type
dumb2

event.name
user_prompt2-
event.timestamp
2026-11-24T12:24:15.490Z2
prompt_length
92
prompt

<REDACTED>Y€d´´úêÖ	@9Ö»´úê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$1d18b7aa-4d62-4722-a672-5ec81266f9cf2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:15.613Z2$
model
claude-haiku-4-5-202510012
input_tokens
2012
output_tokens
612
cache_read_tokens
20002
cache_creation_tokens
3002
cost_usd

0.0010812
duration_ms
187Y@9Ö»´úêÒ	ÀMÅ¿´úê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$1d18b7aa-4d62-4722-a672-5ec81266f9cf2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:15.679Z2%
model
claude-sonnet-4-5-202509292
input_tokens
2022
output_tokens
622
cache_read_tokens
02
cache_creation_tokens
02
cost_usd

0.0015362
duration_ms
226YÀMÅ¿´úêÎ	ÀŠÄ´úê*
claude_code.api_request2M
user.idB
@2e0e5d79bb9925c9f91986c728805d83f2bed0c252cb984b42a38c51ed9f138224

session.id&
$1d18b7aa-4d62-4722-a672-5ec81266f9cf2
terminal.type
dumb2

event.name
api_request2-
event.timestamp
2026-11-24T12:24:15.759Z2
model
claude-sonnet-4-52
input_tokens
2032
output_tokens
632
cache_read_tokens
20002
cache_creation_tokens
3002
cost_usd

0.0032792
duration_ms
245YÀŠÄ´úê