{{/* What the workers and the job have in common. */}}

{{- define "truecount.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# A large volume is not walked at each start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "truecount.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "truecount.env" -}}
{{- $kafka := .Values.kafka -}}
- {name: TRUECOUNT_APP, value: {{ .Values.app | quote }} }
- {name: TRUECOUNT_PREFIX, value: {{ .Values.prefix | quote }} }
- {name: TRUECOUNT_PARTITIONS, value: {{ .Values.partitions | int64 | quote }} }
- {name: TRUECOUNT_BROKER__SERVERS, value: {{ $kafka.servers | quote }} }
- {name: TRUECOUNT_BROKER__REPLICATION, value: {{ $kafka.replication | int64 | quote }} }
- {name: TRUECOUNT_BROKER__SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol | quote }} }
- {name: TRUECOUNT_BROKER__SESSION_TIMEOUT_SECONDS, value: {{ $kafka.sessionTimeoutSeconds | int64 | quote }} }
{{- if include "truecount.sasl" . }}
- {name: TRUECOUNT_BROKER__SASL_MECHANISM, value: {{ $kafka.sasl.mechanism | quote }} }
- {name: TRUECOUNT_BROKER__USERNAME, value: {{ required "kafka.sasl.username is missing" $kafka.sasl.username | quote }} }
- {name: TRUECOUNT_BROKER__PASSWORD_FILE, value: /run/secrets/kafka/sasl/password}
{{- end }}
{{- if include "truecount.caSecret" . }}
- {name: TRUECOUNT_BROKER__SSL_CAFILE, value: /run/secrets/kafka/ca/ca.crt}
{{- end }}
{{- if and (include "truecount.tls" .) $kafka.tls.clientSecret }}
- {name: TRUECOUNT_BROKER__SSL_CERTFILE, value: /run/secrets/kafka/client/tls.crt}
- {name: TRUECOUNT_BROKER__SSL_KEYFILE, value: /run/secrets/kafka/client/tls.key}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "truecount.mounts" -}}
- {name: config, mountPath: /etc/truecount, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if include "truecount.sasl" . }}
- {name: sasl, mountPath: /run/secrets/kafka/sasl, readOnly: true}
{{- end }}
{{- if include "truecount.caSecret" . }}
- {name: ca, mountPath: /run/secrets/kafka/ca, readOnly: true}
{{- end }}
{{- if and (include "truecount.tls" .) .Values.kafka.tls.clientSecret }}
- {name: client, mountPath: /run/secrets/kafka/client, readOnly: true}
{{- end }}
{{- end }}

{{- define "truecount.volumes" -}}
{{- $kafka := .Values.kafka -}}
- name: config
  configMap: {name: {{ include "truecount.fullname" . }} }
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if include "truecount.sasl" . }}
- name: sasl
  secret:
    secretName: {{ include "truecount.saslSecret" . }}
    defaultMode: 0440
    items: [{key: {{ empty $kafka.sasl.existingSecret | ternary "password" $kafka.sasl.passwordKey | quote }}, path: password}]
{{- end }}
{{- with include "truecount.caSecret" . }}
- name: ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ empty $kafka.tls.caSecret | ternary "ca.crt" $kafka.tls.caKey | quote }}, path: ca.crt}]
{{- end }}
{{- if and (include "truecount.tls" .) $kafka.tls.clientSecret }}
- name: client
  secret:
    secretName: {{ $kafka.tls.clientSecret }}
    defaultMode: 0440
    items:
      - {key: {{ $kafka.tls.certificateKey | quote }}, path: tls.crt}
      - {key: {{ $kafka.tls.privateKeyKey | quote }}, path: tls.key}
{{- end }}
{{- end }}
